/** Makes a rendition of an original and stores it: once for all callers and processes, and once for the same bytes. */
import { createSerial, type SingleFlight } from '../concurrency.js'
import type { Events } from '../events.js'
import { digestOf } from '../model/digest.js'
import type { Entry } from '../model/entry.js'
import {
  ArtworkError,
  asArtworkError,
  type Failure,
  failureError,
  isFailureActive,
  isOfBytes,
  recordFailure,
} from '../model/failure.js'
import { typeOf } from '../model/media-type.js'
import { createRecent } from '../model/recent.js'
import {
  completeRecipe,
  type FullRecipe,
  isSameRecipe,
  type Recipe,
  withFocalPoint,
} from '../model/variant.js'
import { hostOf } from '../model/web-url.js'
import type { Settings } from '../options/settings.js'
import type { NewEntry, Store } from '../store/ports.js'
import type { Made, Transformer } from '../transform/transformer.js'
import { kindOf } from './fetch-original.js'
import {
  type ImageResult,
  type KnownOriginal,
  onceStored,
  type RequestOptions,
  withForward,
} from './image.js'
import type { Originals } from './originals.js'
import { type Recipes, readCurrent } from './recipes.js'
import type { Original } from './resolve-address.js'

/** Where a made image is stored, and whose it is. */
export interface Target {
  readonly key: string
  readonly role: 'rendition' | 'artwork'
  readonly sourceUrl?: string
  readonly ownerKind?: string
  readonly ownerId?: string
}

/** What making works with. */
export interface MakeParts {
  readonly settings: Pick<Settings, 'now' | 'transform' | 'disk'>
  readonly store: Pick<
    Store,
    'find' | 'lookup' | 'read' | 'write' | 'settled' | 'lease' | 'generation' | 'negativeCache'
  >
  readonly transformer: Pick<Transformer, 'transform'>
  readonly singleFlight: SingleFlight
  readonly events: Pick<Events, 'emit'>
  readonly recipes: Recipes
  readonly originals: Originals
}

/** What is remembered of bytes and recipes, whatever keys they have. */
interface Memory {
  /** The key of the last image that was made of them. */
  readonly made: ReturnType<typeof createRecent<string>>
  readonly failed: ReturnType<typeof createRecent<Failure>>
}

interface Task {
  readonly target: Target
  readonly original: Original
  readonly known: KnownOriginal
  readonly recipe: Recipe
  readonly options: RequestOptions
}

/** Scopes that are remembered. */
const MAX_KNOWN = 5000

/**
 * Makes an image of an original and stores it under a key; one that cannot be stored is answered all the same. Callers that
 * want it of other bytes, or by another recipe, do not share the work. @throws ArtworkError
 */
export type MakeRendition = (
  target: Target,
  original: Original,
  known: KnownOriginal,
  recipe: Recipe,
  options?: RequestOptions,
) => Promise<ImageResult>

/** Makes the part of the pipeline that makes renditions. */
export function createMakeRendition(parts: MakeParts): MakeRendition {
  const { singleFlight, store, recipes } = parts
  const memory: Memory = { made: createRecent(MAX_KNOWN), failed: createRecent(MAX_KNOWN) }
  const serial = createSerial()
  return async (target, original, known, recipe, options = {}) => {
    const scope = recipes.scope(recipe, known.entry)
    const made = await singleFlight.run(
      `${target.key} ${scope}`,
      async (signal) => {
        const lease = await store.lease(target.key, signal)
        try {
          // Another process may have made it meanwhile.
          const made = lease.waited ? await readCurrent(parts, target.key, known.entry, recipe) : undefined
          if (made !== undefined) return { ...made, original: known.entry }
          // The same may be being made under another key.
          const task = { target, original, known, recipe, options: { ...options, signal } }
          return await serial.run(scope, () => make(parts, memory, task))
        } finally {
          void store.settled(target.key).finally(lease.release)
        }
      },
      options.signal,
    )
    return onceStored(parts, made, options.isBehind)
  }
}

async function make(parts: MakeParts, memory: Memory, task: Task): Promise<ImageResult> {
  const { settings, store, recipes } = parts
  const { target, known, recipe, original, options } = task
  const now = settings.now()
  const failure = store.negativeCache.get(target.key)
  if (
    failure !== undefined &&
    isFailureActive(failure, now, recipes.failureScope(recipe, known.entry, failure))
  )
    throw failureError(failure, now)
  const same = await copyOfSame(parts, memory, task)
  if (same !== undefined) return same
  // An entity's image is tried again: somebody has asked for it.
  const before =
    target.role === 'rendition' ? memory.failed.get(recipes.scope(recipe, known.entry)) : undefined
  if (before !== undefined && isFailureActive(before, settings.now()))
    throw failureError(before, settings.now())
  const generation = known.generation ?? store.generation()
  const source = await parts.originals.bytes(original, known, options)
  try {
    return await encodeAndStore(parts, memory, task, source, generation)
  } catch (error) {
    parts.events.emit('operation-failed', {})
    const thrown = asArtworkError(error)
    const scope = recipes.failureScope(recipe, source.entry, thrown)
    const recorded = recordFailure(thrown, failure, settings.now(), scope)
    if (recorded !== undefined) {
      store.negativeCache.set(target.key, recorded)
      const { about: _about, ...plain } = recorded
      if (isOfBytes(thrown)) memory.failed.set(recipes.scope(recipe, source.entry), plain)
    }
    throw error
  }
}

/**
 * The same image, made of the same bytes under another key: it is stored under this one too, and not made again. Keys come
 * from URLs, which anybody may vary.
 */
async function copyOfSame(
  parts: MakeParts,
  memory: Memory,
  { target, known, recipe }: Task,
): Promise<ImageResult | undefined> {
  const { store, recipes } = parts
  const original = known.entry
  const key = memory.made.get(recipes.scope(recipe, original))
  const other = key === undefined || key === target.key ? undefined : store.find(key)
  if (other === undefined || !original.isStored || !recipes.isCurrent(other, original, recipe))
    return undefined
  const generation = known.generation ?? store.generation()
  const read = await store.read(other)
  if (read === undefined) return undefined
  const entry = newEntry(parts, target, other, original, other.recipe)
  const isStorable = store.generation() === generation
  return { entry: await write(parts, entry, read.bytes, isStorable, generation), ...read, original }
}

/** What the first look at the original has made already. @throws ArtworkError where it could not be made */
function madeBefore({ made }: KnownOriginal, recipe: FullRecipe): Made | undefined {
  if (made === undefined || !isSameRecipe(made.recipe, recipe)) return undefined
  if (made.result instanceof ArtworkError) throw made.result
  return made.result
}

async function encodeAndStore(
  parts: MakeParts,
  memory: Memory,
  { target, recipe, options, known }: Task,
  source: ImageResult,
  generation: number,
): Promise<ImageResult> {
  const { settings, store, transformer, recipes, events } = parts
  events.emit('image-encode', {})
  const { entry: original, bytes, isTransient = false, isPurged = false, forward } = source
  const kind = kindOf(original)
  const complete = completeRecipe(withFocalPoint(recipe, original.focalPoint), kind, settings.transform)
  const made =
    madeBefore(known, complete) ??
    (await transformer.transform(bytes, kind, complete, {
      ...options,
      host: original.sourceUrl === undefined ? undefined : hostOf(original.sourceUrl),
      digest: original.digest,
      isAlone: options.isUnsigned === true && complete.format === 'avif',
    }))
  const facts = { type: typeOf(made.format), width: made.width, height: made.height }
  const entry = newEntry(parts, target, facts, original, recipes.text(recipe, original))
  // What was purged while it was made is answered, and not stored.
  const isStorable = !isTransient && !isPurged && store.generation() === generation
  const stored = await write(parts, entry, made.bytes, isStorable, generation)
  if (isStorable) memory.made.set(recipes.scope(recipe, original), target.key)
  return {
    entry: stored,
    bytes: made.bytes,
    from: 'upstream',
    original,
    isTransient,
    ...withForward(forward),
  }
}

function newEntry(
  { settings }: MakeParts,
  target: Target,
  { type, width, height }: Pick<Entry, 'type' | 'width' | 'height'>,
  original: Entry,
  recipe: string | undefined,
): NewEntry {
  const at = settings.now()
  const times = { storedAt: at, validatedAt: at, freshnessLifetime: 0 }
  return {
    ...target,
    type,
    width,
    height,
    ...times,
    original: original.key,
    madeFrom: original.digest,
    recipe,
  }
}

/** A write that fails degrades the answer: the image is served, and made again next time. */
async function write(
  { store }: MakeParts,
  entry: NewEntry,
  bytes: Buffer,
  isStorable: boolean,
  generation: number,
): Promise<Entry> {
  const digest = digestOf(bytes)
  const unstored = { ...entry, digest, size: bytes.length, isStored: false }
  if (!isStorable) return unstored
  return store.write({ ...entry, digest }, bytes, { generation, isBehind: true }).catch(() => unstored)
}
