/** Orphans: images of entities that are gone. */
import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { type Entry, entityImageKey } from '../model/entry.js'
import { entitiesIn } from '../model/repository.js'
import { readSubject } from '../model/subject.js'
import { artworkPathOf } from '../model/urls.js'
import type { Settings } from '../options/settings.js'

/** Where every image of a kind, more than these, is reported as gone, they wait for a confirmed run. */
const MAX_UNCONFIRMED = 20

/** The settings that orphans follow from. */
export type OrphanSettings = Pick<Settings, 'repository' | 'logger' | 'kinds' | 'urls'>

/** Images by their key. */
type ByKey = Map<string, Entry>

/** Images of entities, by the kind of entity. */
function byOwnerKind(batch: readonly Entry[]): ReadonlyMap<string, readonly Entry[]> {
  const found = new Map<string, Entry[]>()
  for (const entry of batch)
    if (entry.role === 'artwork' && entry.ownerKind !== undefined && entry.ownerId !== undefined)
      found.set(entry.ownerKind, [...(found.get(entry.ownerKind) ?? []), entry])
  return found
}

/** The images whose entities are gone, by the repository; undefined where it does not answer. */
async function missingOf(
  { repository, logger }: OrphanSettings,
  kind: string,
  images: readonly Entry[],
): Promise<readonly Entry[] | undefined> {
  try {
    const ids = [...new Set(images.map(({ ownerId = '' }) => ownerId))]
    const living = await repository?.exists?.(kind, ids)
    return living && images.filter(({ ownerId = '' }) => !living.has(ownerId))
  } catch (error) {
    logger.warn({ err: error, kind }, 'artwork: the repository could not be asked for orphans')
    return undefined
  }
}

/**
 * Moves images whose path a record names from `missing` to `spared`: they are in use, whichever entity they were stored
 * for. Returns whether all records could be read.
 */
async function spareNamed(
  { repository, logger, kinds, urls }: OrphanSettings,
  kind: string,
  missing: ByKey,
  spared: Entry[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    for await (const batch of entitiesIn(repository, kind)) {
      for (const entity of batch) {
        const { localPath } = readSubject(entity, kind, kinds)
        const path = localPath === undefined ? undefined : artworkPathOf(urls, localPath)
        const entry = path === undefined ? undefined : missing.get(entityImageKey(path))
        if (entry !== undefined && missing.delete(entry.key)) spared.push(entry)
      }
      if (signal?.aborted) return false
      await yieldToEventLoop()
    }
    return true
  } catch (error) {
    logger.warn({ err: error, kind }, 'artwork: the repository could not be asked whose pictures there are')
    return false
  }
}

/**
 * Finds images whose entities are gone, by the app's records. A wrong answer, or none, removes nothing; neither does one
 * by which a whole kind is gone, unless that is confirmed.
 */
export function createOrphans(settings: OrphanSettings, isConfirmed: boolean) {
  const { repository, logger } = settings
  const owned = new Map<string, number>()
  const suspects = new Map<string, ByKey>()

  /** Decides over the suspects of one kind. Returns those that are gone; the others are spared. */
  const goneOf = async (
    kind: string,
    missing: ByKey,
    spared: Entry[],
    signal: AbortSignal | undefined,
  ): Promise<readonly Entry[]> => {
    const isListed = repository?.list !== undefined
    const isSure = !isListed || (await spareNamed(settings, kind, missing, spared, signal))
    for (const entry of missing.values()) {
      // The owner of an imported file was guessed from its path; only the records can confirm it.
      const isGuess = entry.recipe === undefined && entry.original === undefined
      if (isSure && (isListed || !isGuess)) continue
      missing.delete(entry.key)
      spared.push(entry)
    }
    return [...missing.values()]
  }

  return {
    /** The keys of a batch whose entities the repository does not report as existing. */
    suspect: async (batch: readonly Entry[]): Promise<ReadonlySet<string>> => {
      const found = new Set<string>()
      if (repository?.exists === undefined) return found
      for (const [kind, images] of byOwnerKind(batch)) {
        owned.set(kind, (owned.get(kind) ?? 0) + images.length)
        const missing = await missingOf(settings, kind, images)
        if (missing === undefined) continue
        const known = suspects.get(kind) ?? new Map<string, Entry>()
        suspects.set(kind, known)
        for (const entry of missing) {
          known.set(entry.key, entry)
          found.add(entry.key)
        }
      }
      return found
    },
    /** Which suspects are gone, and which stay; how many stay of kinds that are reported as gone altogether. */
    decide: async (signal?: AbortSignal) => {
      const gone: Entry[] = []
      const spared: Entry[] = []
      const unconfirmed: Record<string, number> = {}
      for (const [kind, missing] of suspects) {
        if (missing.size === 0) continue
        const found = await goneOf(kind, missing, spared, signal)
        if (found.length <= MAX_UNCONFIRMED || found.length !== owned.get(kind) || isConfirmed) {
          gone.push(...found)
          continue
        }
        unconfirmed[kind] = found.length
        spared.push(...found)
        logger.warn(
          { kind, pictures: found.length },
          'artwork: by the repository, every entity of a kind is gone: their pictures stay until a run with force',
        )
      }
      return { gone, spared, unconfirmed }
    },
  }
}
