/** Orphans: pictures of entities that are gone. */
import { setImmediate as breathe } from 'node:timers/promises'
import type { CleanupParts } from './cleanup.js'
import { artworkPathOf } from '../model/urls.js'
import { type Entry, entityImageKey } from '../model/entry.js'
import { entitiesIn } from '../model/repository.js'
import { readSubject } from '../model/subject.js'

/** A kind of which more pictures than this are said to be gone at once, all that there are, waits for a confirmed run. */
const MOST_UNCONFIRMED = 20

/**
 * Pictures whose entities are gone, by what the app says. An answer that is wrong, or none, takes nothing away; neither
 * does one by which a whole kind is gone, unless that is confirmed. What a record names by its path is alive, whosever
 * it was taken for.
 */
export function createOrphans({ settings }: Pick<CleanupParts, 'settings'>, isConfirmed: boolean) {
  const { repository, logger, kinds } = settings
  const owned = new Map<string, number>()
  const suspects = new Map<string, Map<string, Entry>>()

  /** What of a page is not said to exist. */
  const suspect = async (page: readonly Entry[]): Promise<ReadonlySet<string>> => {
    const found = new Set<string>()
    if (repository?.exists === undefined) return found
    const byKind = new Map<string, Entry[]>()
    for (const entry of page)
      if (entry.role === 'artwork' && entry.ownerKind !== undefined && entry.ownerId !== undefined)
        byKind.set(entry.ownerKind, [...(byKind.get(entry.ownerKind) ?? []), entry])
    for (const [kind, entries] of byKind) {
      owned.set(kind, (owned.get(kind) ?? 0) + entries.length)
      try {
        const ids = [...new Set(entries.map((entry) => entry.ownerId ?? ''))]
        const living = await repository.exists(kind, ids)
        const missing = suspects.get(kind) ?? new Map<string, Entry>()
        suspects.set(kind, missing)
        for (const entry of entries)
          if (!living.has(entry.ownerId ?? '')) {
            missing.set(entry.key, entry)
            found.add(entry.key)
          }
      } catch (error) {
        logger.warn({ err: error, kind }, 'artwork: the repository could not be asked for orphans')
      }
    }
    return found
  }
  /** Takes those out that a record names, or is named by. Answers whether the records could be gone through. */
  const spareNamed = async (
    kind: string,
    missing: Map<string, Entry>,
    spared: Entry[],
    signal: AbortSignal | undefined,
  ): Promise<boolean> => {
    const spare = (path: string | undefined): void => {
      const entry = path === undefined ? undefined : missing.get(entityImageKey(path))
      if (entry === undefined) return
      missing.delete(entry.key)
      spared.push(entry)
    }
    try {
      for await (const some of entitiesIn(repository, kind)) {
        for (const entity of some) {
          const { localPath } = readSubject(entity, kind, kinds)
          spare(localPath === undefined ? undefined : artworkPathOf(settings.urls, localPath))
        }
        if (signal?.aborted) return false
        await breathe()
      }
      return true
    } catch (error) {
      logger.warn({ err: error, kind }, 'artwork: the repository could not be asked whose pictures there are')
      return false
    }
  }
  return {
    suspect,
    /** What goes, and what was suspected and stays. */
    decide: async (signal?: AbortSignal) => {
      const gone: Entry[] = []
      const spared: Entry[] = []
      const unconfirmed: Record<string, number> = {}
      for (const [kind, missing] of suspects) {
        if (missing.size === 0) continue
        const isListed = repository?.list !== undefined
        const isSure = !isListed || (await spareNamed(kind, missing, spared, signal))
        for (const entry of missing.values()) {
          // Whose picture an imported file is was told by its path, unless the records could be gone through.
          const isGuess = entry.recipe === undefined && entry.original === undefined
          if (isSure && (isListed || !isGuess)) continue
          missing.delete(entry.key)
          spared.push(entry)
        }
        const { size } = missing
        if (size > MOST_UNCONFIRMED && size === owned.get(kind) && !isConfirmed) {
          unconfirmed[kind] = size
          spared.push(...missing.values())
          logger.warn(
            { kind, pictures: size },
            'artwork: by the repository, every entity of a kind is gone: their pictures stay until a run with force',
          )
        } else gone.push(...missing.values())
      }
      return { gone, spared, unconfirmed }
    },
  }
}
