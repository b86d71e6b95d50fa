/** Fetches an original, or revalidates the stored one: once for all callers and processes, checked, then stored. */
import type { SingleFlight } from '../concurrency.js'
import type { Events } from '../events.js'
import type { Fetched, Fetcher } from '../fetch/fetcher.js'
import { digestOf } from '../model/digest.js'
import { type Entry, imageKey } from '../model/entry.js'
import {
  ArtworkError,
  asArtworkError,
  failureError,
  isOriginalFailureActive,
  originalScope,
  recordFailure,
} from '../model/failure.js'
import { type FreshnessRules, freshnessAfter } from '../model/freshness.js'
import type { FetchRequest } from '../model/location.js'
import { type Kind, kindOfType, typeOf } from '../model/media-type.js'
import type { NoPicture } from '../model/no-picture.js'
import type { Recipe } from '../model/variant.js'
import type { Settings } from '../options/settings.js'
import type { Means } from '../sources/source.js'
import type { NewEntry, Store } from '../store/ports.js'
import type { Transformer } from '../transform/transformer.js'
import { createFirstLook, type FirstLook } from './first-look.js'
import { type KnownOriginal, onceStored, type RequestOptions } from './image.js'
import { keptPoint } from './kept-point.js'
import { locate } from './locate.js'
import type { PresignedUrls } from './presigned-urls.js'
import type { Original } from './resolve-address.js'

/** What fetching works with. */
export interface FetchParts {
  readonly settings: Pick<Settings, 'now' | 'freshness' | 'transform' | 'disk' | 'offline'>
  readonly store: Pick<
    Store,
    | 'find'
    | 'lookup'
    | 'read'
    | 'write'
    | 'settled'
    | 'update'
    | 'delete'
    | 'lease'
    | 'generation'
    | 'negativeCache'
  >
  readonly fetcher: Pick<Fetcher, 'fetch'>
  readonly transformer: Pick<Transformer, 'inspect' | 'look'>
  readonly singleFlight: SingleFlight
  readonly events: Pick<Events, 'emit'>
  readonly presignedUrls: PresignedUrls
  readonly noPicture: NoPicture
  /** What sources may ask for. */
  readonly means: Means
  /** Names this run of the app: what its settings refused is judged anew by another one. */
  readonly run: string
}

/** One fetch or revalidation. */
interface Task {
  readonly original: Original
  readonly key: string
  /** What upstream is asked about; undefined to fetch it whole. */
  readonly stored: Entry | undefined
  /** What the caller knew of it, where that is not what is asked about. */
  readonly before: Entry | undefined
  /** Ask although a recorded failure is active. */
  readonly isForced: boolean
  readonly client?: string | undefined
  /** What will be made of it, where that is known. */
  readonly recipe?: Recipe | undefined
  readonly isLikely?: boolean | undefined
}

/** What of a request a fetch depends on. */
type FetchOptions = Pick<
  RequestOptions,
  'signal' | 'client' | 'isBackground' | 'recipe' | 'isLikely' | 'isBehind'
>

/** A response that is to be stored, and what it was asked with. */
interface Arrival extends Task {
  readonly url: string
  readonly signal: AbortSignal
  /** The purge generation when it was asked for. */
  readonly generation: number
}

type Response<Outcome> = Fetched & { readonly outcome: Outcome }

/** The format of an entry, for the transformer. @throws ArtworkError `unsupported` (415) */
export function kindOf(entry: Entry): Kind {
  const kind = kindOfType(entry.type)
  if (kind === undefined) throw new ArtworkError('unsupported', 'this is not an image of a known format')
  return kind
}

/** Whether upstream's own rules hold for an original. Where its URL names the content, they have nothing to say. */
export const isStrict = ({ freshness }: Pick<Settings, 'freshness'>, { source }: Original): boolean =>
  freshness.upstream === 'strict' && source.cache === undefined

/** Makes the part of the pipeline that fetches originals. */
export function createFetchOriginal(parts: FetchParts) {
  const look = createFirstLook(parts)
  return {
    /** Whether a fetch, or a revalidation, of an original is running. */
    isRunning: (key: string, stored: Entry | undefined): boolean =>
      parts.singleFlight.has(flightKey(key, stored)),
    /**
     * Fetches an original, or revalidates the stored one. Failures are recorded, and thrown at once while they are active.
     * @param before what the caller knew of it, where that is not what is asked about
     * @throws ArtworkError any row that has to do with an upstream
     */
    revalidate: async (
      original: Original,
      stored: Entry | undefined,
      isForced: boolean,
      { signal, client, isBackground, recipe: wanted, isLikely, isBehind = false }: FetchOptions = {},
      before = stored,
    ): Promise<KnownOriginal> => {
      const key = imageKey(original.text)
      // Facts come first of all; what nobody waits for is made after what somebody waits for.
      const recipe = isBackground ? undefined : wanted
      const task = { original, key, stored, before, isForced, client, recipe, isLikely }
      const known = await collapse(parts, task, look, signal)
      return isBehind ? known : onceStored(parts, known)
    },
  }
}

/** See `createFetchOriginal`. */
export type FetchOriginal = ReturnType<typeof createFetchOriginal>

const flightKey = (key: string, stored: Entry | undefined): string =>
  `${key}${stored === undefined ? '' : '?'}`

/** One request of this process at a time, and one of all processes: the others take over what it brought. */
async function collapse(
  parts: FetchParts,
  task: Task,
  look: FirstLook,
  signal: AbortSignal | undefined,
): Promise<KnownOriginal> {
  const { singleFlight, store } = parts
  const { key, stored, isForced } = task
  const flight = flightKey(key, stored)
  const joined = singleFlight.has(flight)
  const known = await singleFlight.run(
    flight,
    async (aborted) => {
      const lease = await store.lease(key, aborted)
      try {
        // What was missing may have been fetched since by a process that ended before the lease was asked for.
        const mayBeThere = lease.waited || (stored === undefined && !isForced)
        const found = mayBeThere ? await fetchedElsewhere(parts, task) : undefined
        return found ?? (await fetchOnce(parts, task, look, aborted))
      } finally {
        // Others look for it once it has been stored.
        void store.settled(key).finally(lease.release)
      }
    },
    signal,
  )
  const collapsed = joined || known.forward === undefined
  return {
    ...known,
    forward: {
      why: stored === undefined ? 'miss' : 'stale',
      status: collapsed ? undefined : known.forward?.status,
      collapsed,
    },
  }
}

/** What another process, or node, has fetched or validated meanwhile. */
async function fetchedElsewhere(
  { store }: FetchParts,
  { key, before }: Task,
): Promise<KnownOriginal | undefined> {
  const entry = await store.lookup(key, key)
  const isNewer = before === undefined || (entry !== undefined && entry.validatedAt > before.validatedAt)
  return entry?.isStored && isNewer ? { entry } : undefined
}

async function fetchOnce(
  parts: FetchParts,
  task: Task,
  look: FirstLook,
  signal: AbortSignal,
): Promise<KnownOriginal> {
  const { store, settings, fetcher, presignedUrls, events, run } = parts
  const { original, key, stored, isForced } = task
  const failure = store.negativeCache.get(key)
  if (!isForced && failure !== undefined && isOriginalFailureActive(failure, settings.now(), run))
    throw failureError(failure, settings.now())
  const generation = store.generation()
  try {
    const request = await locate(parts, original)
    events.emit('upstream-request', {})
    const relative = stored === undefined && !isForced ? presignedUrls.relative(request.url) : undefined
    const response = await fetcher.fetch(request, stored ?? relative ?? {}, signal)
    const fetched = await takeRelative(parts, response, relative, request, signal)
    const known = await storeResponse(parts, fetched, { ...task, url: request.url, signal, generation }, look)
    if (failure !== undefined) store.negativeCache.clear(key)
    presignedUrls.brought(request.url, known.entry)
    return known
  } catch (error) {
    events.emit('operation-failed', {})
    const thrown = asArtworkError(error)
    const recorded = recordFailure(
      thrown,
      store.negativeCache.get(key),
      settings.now(),
      originalScope(thrown, run),
    )
    if (recorded !== undefined) store.negativeCache.set(key, recorded)
    throw error
  }
}

/** A 304 about what another signature brought: its bytes are this one's too. */
async function takeRelative(
  { store, fetcher }: FetchParts,
  response: Fetched,
  relative: Entry | undefined,
  request: FetchRequest,
  signal: AbortSignal,
): Promise<Fetched> {
  if (response.outcome !== 'not-modified' || relative === undefined) return response
  const read = await store.read(relative)
  if (read === undefined) return fetcher.fetch(request, {}, signal)
  const { etag, lastModified } = relative
  return { ...response, outcome: 'image', bytes: read.bytes, kind: kindOf(relative), etag, lastModified }
}

/** What a response comes to: not modified, the same bytes, not to be stored, or new bytes. */
async function storeResponse(
  parts: FetchParts,
  response: Fetched,
  arrival: Arrival,
  look: FirstLook,
): Promise<KnownOriginal> {
  if (response.outcome === 'not-modified') return notModified(parts, response, arrival)
  const { store, settings } = parts
  const { original, stored, key } = arrival
  const { bytes, kind, etag, lastModified } = response
  const storedAt = settings.now()
  const facts = { ...freshness(parts, response, arrival), etag, lastModified }
  if (settings.offline === false) original.source.verify?.(original.address, bytes)
  const digest = digestOf(bytes)
  const isTransient = isStrict(settings, original) && !response.storable
  // Bytes that are the same as before renew the entry and change nothing else.
  if (!isTransient && stored?.isStored && stored.digest === digest)
    return {
      entry: store.update(stored, { ...facts, focalPoint: keptPoint(store, original) }),
      bytes,
      ...answered(200),
    }
  const { inspected, made: first } = await look(digest, bytes, kind, arrival)
  const { width, height, traits } = inspected
  const made = first && { made: first }
  if (parts.noPicture({ digest, thumbhash: traits.preview?.thumbhash }))
    throw new ArtworkError('no_image', 'the source has only a picture that stands for none')
  const about = { key, role: 'original', type: typeOf(kind), width, height, traits } as const
  const focalPoint = keptPoint(store, original)
  const entry: NewEntry = { ...about, storedAt, ...facts, focalPoint, sourceUrl: arrival.url }
  const unstored = { ...entry, digest, size: bytes.length, isStored: false }
  if (isTransient) {
    // What was stored before it was forbidden goes.
    if (store.find(key) !== undefined) await store.delete(key)
    return { entry: unstored, bytes, isTransient, ...answered(200), ...made }
  }
  // What was purged while it was fetched is answered, and not stored.
  if (store.generation() !== arrival.generation)
    return { entry: unstored, bytes, isPurged: true, ...answered(200), ...made }
  // A write that fails degrades the answer: the image is served, and fetched again next time.
  const { generation } = arrival
  const isInput = arrival.recipe !== undefined && !arrival.isLikely
  const written = await store
    .write({ ...entry, digest }, bytes, { isInput, generation, isBehind: true })
    .catch(() => unstored)
  return { entry: written, bytes, generation, ...answered(200), ...made }
}

async function notModified(
  parts: FetchParts,
  response: Response<'not-modified'>,
  arrival: Arrival,
): Promise<KnownOriginal> {
  const { store, settings } = parts
  const { original, stored, key } = arrival
  if (stored === undefined)
    throw new ArtworkError('bad_answer', 'the source answered a question that was not asked')
  const lifetime = freshness(parts, response, arrival)
  if (isStrict(settings, original) && !response.storable) {
    // It may not be stored any more: this request has it once more.
    const read = await store.read(stored)
    await store.delete(key)
    if (read === undefined) throw new ArtworkError('bad_answer', 'the source sent nothing')
    const entry = { ...stored, ...lifetime, isStored: false }
    return { entry, bytes: read.bytes, isTransient: true, ...answered(304) }
  }
  const { etag, lastModified } = response
  const validators = { ...(etag && { etag }), ...(lastModified && { lastModified }) }
  const changes = { ...lifetime, ...validators, focalPoint: keptPoint(store, original) }
  return { entry: store.update(stored, changes), ...answered(304) }
}

const answered = (status: 200 | 304) => ({ forward: { why: 'miss', status, collapsed: false } as const })

function freshness({ settings }: FetchParts, response: Fetched, { original, stored }: Arrival) {
  const rules: FreshnessRules = original.source.isLasting
    ? 'immutable'
    : isStrict(settings, original)
      ? 'strict'
      : 'bounded'
  return freshnessAfter(response, rules, stored, { now: settings.now(), maxAge: settings.freshness.maxAge })
}
