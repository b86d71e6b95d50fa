/** Originals: fetched as they are, one flight for all askers, aged, asked about again, kept when upstream fails. */

import { createSerial } from '../concurrency.js'
import type { Fetched } from '../fetch/fetcher.js'
import { digestOf } from '../model/digest.js'
import { boundedFreshness, type Entry, freshnessOf, imageKey, NEVER_STALE } from '../model/entry.js'
import {
  ArtworkError,
  asArtworkError,
  type ErrorCode,
  type Failure,
  failureError,
  isBySettings,
  isFailureActive,
  isOfBytes,
  reasonOf,
  recordFailure,
} from '../model/failure.js'
import type { FetchRequest } from '../model/location.js'
import { type Kind, kindOfType, typeOf } from '../model/media-type.js'
import { createRecent } from '../model/recent.js'
import { hostOf } from '../model/web-url.js'
import type { NewEntry } from '../store/ports.js'
import type { Inspected } from '../transform/transformer.js'
import type { Context, Forward, Obtained } from './context.js'
import type { Original } from './resolve.js'
import type { SignedUrls } from './signed-urls.js'

/** An original whose facts are known; its bytes come along when they were just fetched. */
export interface Known {
  readonly entry: Entry
  readonly bytes?: Buffer
  /** Nothing of it may be kept: upstream forbids it. */
  readonly isTransient?: boolean
  /** It was purged while it was under way: neither it nor what is made of it is kept. */
  readonly isPurged?: boolean
  /** How upstream was asked, where it was. */
  readonly forward?: Forward
}

/** What an asker of an original says. */
export interface OriginalOptions {
  readonly signal?: AbortSignal | undefined
  /** Answers from what is held, or not at all (`Cache-Control: only-if-cached`). */
  readonly onlyIfCached?: boolean | undefined
  /** Who asks has no signature, at a source where that makes a difference. */
  readonly isFree?: boolean | undefined
  /** Who asks, for turns. */
  readonly client?: string | undefined
  /** Whether an SVG is given as it is where another form of it is asked for. */
  readonly passesSvg?: boolean | undefined
  /** Nobody waits for it: it is made after all that somebody waits for. */
  readonly isBackground?: boolean | undefined
}

/** An original in hand. */
export type OriginalBytes = Known & Obtained

/** Whether an original changed when it was asked about again. */
export interface Refreshed {
  readonly entry: Entry
  readonly changed: boolean
}

/** See the top of the file. */
export type Originals = ReturnType<typeof createOriginals>

/** Formats whose traits nobody needs to look for: a JPEG never moves and has no alpha, an SVG is given as it is. */
const SAME_TRAITS: ReadonlySet<Kind> = new Set(['jpeg', 'svg'])

const UNREACHABLE: ReadonlySet<string> = new Set([
  'connection',
  'bad_answer',
  'timeout',
  'upstream_failed',
  'unavailable',
])

/** How upstream was asked in vain for what a copy stands in for; undefined where it was not asked. */
export function forwardOf(why: Forward['why'], thrown: unknown, collapsed = false): Forward | undefined {
  const { isRecalled, code, upstreamStatus } = asArtworkError(thrown)
  if (isRecalled || code === 'unavailable' || code === 'not_held') return undefined
  return { why, status: collapsed ? undefined : upstreamStatus, collapsed }
}

/** So many contents are known by what was found in them. */
const MOST_SEEN = 2000

/** Makes the part of the pipeline that has to do with originals. */
export function createOriginals(context: Context, signed: SignedUrls) {
  const { settings, store, fetcher, transformer, flights, counts, tell } = context
  const now = () => settings.now()
  const seen = createRecent<Inspected | Failure>(MOST_SEEN)
  const turns = createSerial()
  /** What a failure to have an original is about: where our own rules made it, this run with its settings. */
  const subjectOf = ({ code }: { readonly code: ErrorCode }): string | undefined =>
    isBySettings(reasonOf(code)) ? context.run : undefined

  /** Whether a remembered failure stands. An earlier version did not note what it was about. */
  const stands = (failure: Failure): boolean =>
    isFailureActive(failure, now(), failure.about === undefined ? undefined : subjectOf(failure))

  /** What another process learned about an original before this one had its turn. */
  const fetchedElsewhere = (name: string, before: Entry | undefined): Known | undefined => {
    const entry = store.find(name)
    const isNews =
      entry?.isStored === true && (before === undefined || entry.validatedAt > before.validatedAt)
    return isNews ? { entry } : undefined
  }
  const fetchOnce = async (
    original: Original,
    held: Entry | undefined,
    insist: boolean,
    signal: AbortSignal,
    client?: string,
  ): Promise<Known> => {
    const name = imageKey(original.text)
    const remembered = store.negativeCache.get(name)
    if (!insist && remembered !== undefined && stands(remembered)) throw failureError(remembered, now())
    const epoch = store.generation()
    try {
      const request = await original.source.locate(original.address, context.means)
      counts.upstreamRequests += 1
      const relative = held === undefined && !insist ? signed.relative(request.url) : undefined
      const answer = await fetcher.fetch(request, held ?? relative ?? {}, signal)
      const fetched = await ofRelative(answer, relative, request, signal)
      const known = await storeResponse(original, request.url, fetched, held, {
        signal,
        epoch,
        client,
        insist,
      })
      if (remembered !== undefined) store.negativeCache.clear(name)
      signed.brought(request.url, known.entry)
      return known
    } catch (error) {
      counts.failures += 1
      remember(name, error)
      throw error
    }
  }
  /** An answer about what another signature brought: that it stands, so that its bytes are this one's too. */
  const ofRelative = async (
    answer: Fetched,
    relative: Entry | undefined,
    request: FetchRequest,
    signal: AbortSignal,
  ): Promise<Fetched> => {
    if (answer.outcome !== 'not-modified' || relative === undefined) return answer
    const read = await store.read(relative)
    if (read === undefined) return fetcher.fetch(request, {}, signal)
    const { etag, lastModified } = relative
    return { ...answer, outcome: 'image', bytes: read.bytes, kind: kindOf(relative), etag, lastModified }
  }
  const flightOf = (name: string, held: Entry | undefined): string =>
    `${name}${held === undefined ? '' : '?'}`
  /**
   * Fetches, or asks whether the copy held is still right. Failures are remembered, and answered at once while they stand.
   * @param before what the asker knew of it, where that is not what is asked about
   */
  const revalidate = async (
    original: Original,
    held: Entry | undefined,
    insist: boolean,
    { signal: asker, client }: Pick<OriginalOptions, 'signal' | 'client'> = {},
    before = held,
  ): Promise<Known> => {
    const name = imageKey(original.text)
    const key = flightOf(name, held)
    const collapsed = flights.has(key)
    const known = await flights.run(
      key,
      async (signal) => {
        const turn = await store.lease(name, signal)
        try {
          // What was missing may have been fetched since it was looked for, by who ended before a turn was asked for.
          const mayBeThere = turn.waited || (held === undefined && !insist)
          const news = mayBeThere ? fetchedElsewhere(name, before) : undefined
          return news ?? (await fetchOnce(original, held, insist, signal, client))
        } finally {
          turn.release()
        }
      },
      asker,
    )
    const why = held === undefined ? 'miss' : 'stale'
    const isFollower = collapsed || known.forward === undefined
    return {
      ...known,
      forward: { why, status: isFollower ? undefined : known.forward?.status, collapsed: isFollower },
    }
  }
  const remember = (name: string, error: unknown): void => {
    const thrown = asArtworkError(error)
    const failure = recordFailure(thrown, store.negativeCache.get(name), now(), subjectOf(thrown))
    if (failure !== undefined) store.negativeCache.set(name, failure)
  }

  /** Whether upstream's own rules hold for an original. Where the URL names the content, they have nothing to say. */
  const isStrict = (original: Original): boolean =>
    settings.freshness.upstream === 'strict' && original.source.cache === undefined

  /**
   * What bytes are, looked at once whatever URL they came under: who asks for the same ones by many names costs no more
   * than one. A failure to read them is theirs for as long as it would be remembered.
   */
  const inspected = (digest: string, insist: boolean, look: () => Promise<Inspected>): Promise<Inspected> => {
    return turns.run(digest, async () => {
      const before = seen.get(digest)
      if (before !== undefined && 'traits' in before) return before
      if (!insist && before !== undefined && isFailureActive(before, now())) throw failureError(before, now())
      try {
        const found = await look()
        seen.set(digest, found)
        return found
      } catch (error) {
        const failure = recordFailure(asArtworkError(error), before, now())
        if (failure !== undefined && isOfBytes(asArtworkError(error))) seen.set(digest, failure)
        throw error
      }
    })
  }

  /** How long what upstream told of may be used. A 304 that says nothing leaves it as it was (RFC 9111 §3.2). */
  const lifetimeOf = (original: Original, told: Fetched, held: Entry | undefined) => {
    const ours = {
      staleWhileRevalidate: undefined,
      staleIfError: undefined,
      clientFreshnessLifetime: undefined,
    }
    if (original.source.isLasting) return { ...ours, validatedAt: now(), freshnessLifetime: NEVER_STALE }
    if (!isStrict(original)) {
      const freshnessLifetime = boundedFreshness(told.freshSeconds, settings.freshness.maxAge)
      return { ...ours, validatedAt: now(), freshnessLifetime }
    }
    const isSilent = told.outcome === 'not-modified' && told.freshSeconds === undefined
    if (isSilent && held?.staleIfError !== undefined) {
      const { freshnessLifetime, staleWhileRevalidate, staleIfError, clientFreshnessLifetime } = held
      return {
        validatedAt: now(),
        freshnessLifetime,
        staleWhileRevalidate,
        staleIfError,
        clientFreshnessLifetime,
      }
    }
    // Its age when it came counts from the start.
    const wholeMs = (seconds: number | undefined): number =>
      ((seconds ?? told.guessSeconds) + told.ageSeconds) * 1000
    const [freshnessLifetime, clientLifetime] = [wholeMs(told.freshSeconds), wholeMs(told.clientSeconds)]
    return {
      validatedAt: now() - told.ageSeconds * 1000,
      freshnessLifetime,
      staleWhileRevalidate: told.staleWhileRevalidate * 1000,
      staleIfError: told.staleIfError * 1000,
      clientFreshnessLifetime: clientLifetime === freshnessLifetime ? undefined : clientLifetime,
    }
  }

  /** Keeps what was fetched. Bytes that are the same as before renew the entry and change nothing else. */
  const storeResponse = async (
    original: Original,
    url: string,
    fetched: Fetched,
    held: Entry | undefined,
    {
      signal,
      epoch,
      client,
      insist,
    }: {
      readonly signal: AbortSignal
      readonly epoch: number
      readonly client?: string | undefined
      readonly insist: boolean
    },
  ): Promise<Known> => {
    const name = imageKey(original.text)
    const storedAt = now()
    const { etag, lastModified } = fetched
    const lifetime = lifetimeOf(original, fetched, held)
    const asked = (status: 200 | 304) => ({ asking: { why: 'miss', status, collapsed: false } as const })
    if (fetched.outcome === 'not-modified') {
      if (held === undefined)
        throw new ArtworkError('bad_answer', 'the source answered a question that was not asked')
      if (isStrict(original) && !fetched.storable) {
        // It may not be kept any more: who asked has it once more, and then it goes.
        const read = await store.read(held)
        await store.delete(name)
        if (read === undefined) throw new ArtworkError('bad_answer', 'the source sent nothing')
        return {
          entry: { ...held, ...lifetime, isStored: false },
          bytes: read.bytes,
          isTransient: true,
          ...asked(304),
        }
      }
      const validators = { ...(etag && { etag }), ...(lastModified && { lastModified }) }
      return { entry: store.update(held, { ...lifetime, ...validators }), ...asked(304) }
    }
    const { bytes, kind } = fetched
    original.source.verify?.(original.address, bytes)
    const digest = digestOf(bytes)
    const facts = { ...lifetime, etag, lastModified }
    const isTransient = isStrict(original) && !fetched.storable
    if (!isTransient && held?.isStored && held.digest === digest)
      return { entry: store.update(held, facts), bytes, ...asked(200) }
    const { width, height, traits } = await inspected(digest, insist, () =>
      transformer.inspect(bytes, kind, { signal, client, host: hostOf(url) }),
    )
    const fresh: NewEntry = {
      key: name,
      role: 'original',
      type: typeOf(kind),
      width,
      height,
      traits,
      storedAt,
      ...facts,
      sourceUrl: url,
    }
    const unkept = { ...fresh, digest, size: bytes.length, isStored: false }
    // What was purged while it was under way is answered, and not kept.
    if (!isTransient && store.generation() !== epoch)
      return { entry: unkept, bytes, isPurged: true, ...asked(200) }
    if (!isTransient) return { entry: await keep(fresh, bytes, digest), bytes, ...asked(200) }
    // What was kept before it was forbidden goes.
    if (store.find(name) !== undefined) await store.delete(name)
    return { entry: unkept, bytes, isTransient, ...asked(200) }
  }
  /** A write that fails degrades the answer: the picture is served, and fetched again next time. */
  const keep = async (fresh: NewEntry, bytes: Buffer, digest: string): Promise<Entry> => {
    try {
      return await store.write(fresh, bytes)
    } catch {
      return { ...fresh, digest, size: bytes.length, isStored: false }
    }
  }

  const find = async (original: Original): Promise<Entry | undefined> => {
    const name = imageKey(original.text)
    return store.find(name) ?? store.lookup(name)
  }

  const forbidAsking = (): never => {
    throw new ArtworkError('not_held', 'the image is not held')
  }

  /** The facts of an original by the rule of freshness (RFC 9111 §4.2, RFC 5861), fetched where there are none. */
  const obtain = async (original: Original, options: OriginalOptions = {}): Promise<Known> => {
    const { onlyIfCached = false } = options
    const entry = await find(original)
    if (entry === undefined && original.source.isHosted) {
      if (context.areUploadsOpen()) throw new ArtworkError('unknown_image', 'there is no such image')
      throw new ArtworkError('unavailable', 'uploads cannot be read', { retryAfter: 5 })
    }
    if (entry === undefined)
      return onlyIfCached ? forbidAsking() : revalidate(original, undefined, false, options)
    const freshness = freshnessOf(entry, settings.freshness, now())
    if (freshness === 'fresh') return { entry }
    if (freshness === 'stale') {
      tell.stale(original.text)
      return { entry }
    }
    const collapsed = flights.has(flightOf(entry.key, entry))
    try {
      if (onlyIfCached) return forbidAsking()
      return await revalidate(original, entry, false, options)
    } catch (error) {
      const { code } = asArtworkError(error)
      // RFC 5861 §4 knows errors of the server and of the way to it only.
      const mayStandIn = entry.staleIfError === undefined ? code !== 'cancelled' : UNREACHABLE.has(code)
      if (freshness === 'overdue' && mayStandIn) {
        const asking = forwardOf('stale', error, collapsed)
        return { entry, ...(asking && { forward: asking }) }
      }
      // Held, and forbidden to be used unasked: nobody could be asked (RFC 9111 §5.2.2.2).
      if (entry.staleIfError !== undefined && entry.isStored && UNREACHABLE.has(code))
        throw new ArtworkError('timeout', 'the source could not be asked', { cause: error })
      throw error
    }
  }

  const kindOf = (entry: Entry): Kind => {
    const kind = kindOfType(entry.type)
    if (kind === undefined) throw new ArtworkError('unsupported', 'this is not an image of a known format')
    return kind
  }
  /** Whether all is known of an original that choices ask. */
  const hasTraits = (entry: Entry): boolean => entry.traits !== undefined || SAME_TRAITS.has(kindOf(entry))
  /** The bytes of an original whose facts are known; fetched again where they are gone. */
  const bytesOf = async (
    original: Original,
    known: Known,
    options: OriginalOptions = {},
  ): Promise<OriginalBytes> => {
    if (known.bytes !== undefined) return { ...known, bytes: known.bytes, from: 'upstream' }
    const held = await store.read(known.entry)
    // Only who needs its bytes uses an original; its row stays for as long as something made from it does.
    if (held !== undefined) store.touch(known.entry.key)
    if (held !== undefined) return { ...known, ...held }
    if (original.source.isHosted)
      throw new ArtworkError('unavailable', 'the image cannot be read', { retryAfter: 60 })
    if (options.onlyIfCached) return forbidAsking()
    const again = await revalidate(original, undefined, false, options, known.entry)
    if (again.bytes !== undefined) return { ...again, bytes: again.bytes, from: 'upstream' }
    const fetched = await store.read(again.entry)
    if (fetched === undefined) throw new ArtworkError('bad_answer', 'the source sent nothing')
    return { ...again, ...fetched }
  }

  return {
    obtain,
    subjectOf,
    stands,
    /** Whether what was made from an original may stand in for it, though it cannot be asked for any more. */
    mayStandIn: (original: Original, error: unknown): boolean =>
      store.find(imageKey(original.text)) === undefined &&
      !isStrict(original) &&
      UNREACHABLE.has(asArtworkError(error).code),
    bytes: bytesOf,
    hasTraits,
    /** An original with its traits: they are looked for where an earlier version, or an upload, left them out. */
    withTraits: async (original: Original, known: Known, options: OriginalOptions = {}): Promise<Known> => {
      if (hasTraits(known.entry)) return known
      const found = await bytesOf(original, known, options)
      const { traits } = await transformer.inspect(found.bytes, kindOf(found.entry), options)
      return { ...found, entry: store.update(found.entry, { traits }) }
    },
    /**
     * Asks upstream about an original now, whatever its age.
     * @param unconditional fetch it whole, even when a copy is held
     */
    refresh: async (original: Original, unconditional = false): Promise<Refreshed> => {
      const before = await find(original)
      // What its name stands for forever need not be asked about.
      if (before !== undefined && original.source.isLasting && (before.isStored || original.source.isHosted))
        return { entry: before, changed: false }
      const held = unconditional || before === undefined ? undefined : before
      const { entry } = await revalidate(original, held, true)
      return { entry, changed: before !== undefined && before.digest !== entry.digest }
    },
    /** The format of an entry, for the transformer. */
    kindOf,
  }
}
