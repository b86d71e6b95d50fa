/** The shared store of several nodes, opened: names and bytes as objects, behind a breaker, with a journal of what is still to do. */
import { join } from 'node:path'
import type { Logger } from '../../model/logger.js'
import type { ObjectStore, ObjectStoreSource } from '../../model/object-store.js'
import type { Store } from '../ports.js'
import { createBreaker } from './breaker.js'
import { openJournal } from './journal.js'
import { createSharedNames } from './names.js'
import { createOutbox, type Loaded } from './outbox.js'
import { withSharedTier } from './with-shared-tier.js'

const DAY_MS = 86_400_000

/** How it is opened. */
export interface SharedTierOptions {
  readonly source: ObjectStoreSource
  /** Where the journal lies; undefined keeps it in memory. */
  readonly directory: string | undefined
  readonly logger: Logger
  readonly now: () => number
  /** Ms between two looks into the journal. @default 5 s */
  readonly retryEvery?: number
  /** Ms for which a store that fails is left alone. @default 5 s */
  readonly openFor?: number
}

/** What is open. */
export interface SharedTier {
  /** The store of this node with the shared one below it. */
  readonly store: Store
  /** See `SharedTierStore`. */
  forgetAbsent(): void
  /**
   * Another node has dropped keys: what this one is just reading or writing there of them goes again.
   * @param isLate it was away when that happened: what it wrote of them meanwhile goes, too
   */
  dropped(keys: readonly string[] | 'all', isLate: boolean): void
  /** Called with the key of a removal that could be done only later; '' for all. */
  onRemoved(listener: (key: string) => void): void
  /** Removes what was made from something that is gone itself. */
  remove(key: string): Promise<void>
  readonly objects: ObjectStore
  /** Why the shared store is left alone, undefined where it is not. */
  trouble(): string | undefined
  /** Changes that it does not have yet. */
  pending(): number
}

const loadFrom =
  (local: Store) =>
  async (key: string): Promise<Loaded | undefined> => {
    const entry = local.find(key)
    const content = entry?.isStored ? await local.read(entry) : undefined
    if (entry === undefined || content === undefined) return undefined
    const original = entry.original === undefined ? undefined : local.find(entry.original)
    return { entry, bytes: content.bytes, original }
  }

/** Opens it. @throws Error without the package that the source needs, and what SQLite throws for the journal */
export async function openSharedTier(local: Store, options: SharedTierOptions): Promise<SharedTier> {
  const { source, directory, logger, now, retryEvery, openFor } = options
  const objects = await source.open()
  const breaker = createBreaker('the shared store', {
    ...(openFor !== undefined && { openFor }),
    onChange: (reason) => {
      if (reason === undefined) logger.warn({}, `artwork: ${objects.name} answers again`)
      else logger.error({ reason }, `artwork: ${objects.name} fails, this node works without it`)
    },
  })
  const journal = openJournal(directory === undefined ? undefined : join(directory, 'shared.db'), (message) =>
    logger.warn({}, `artwork shared store: ${message}`),
  )
  const names = createSharedNames(objects, source.prefix)
  const { days } = source
  // Half of the time is left for what is asked for seldom.
  const renewal = days === undefined ? undefined : { age: (days / 2) * DAY_MS, now }
  const outbox = createOutbox({
    ...{ names, journal, breaker, logger, load: loadFrom(local) },
    ...(renewal && { renewBefore: () => now() - renewal.age }),
    ...(retryEvery !== undefined && { every: retryEvery }),
  })
  const store = withSharedTier(local, { names, outbox, breaker, logger, renewal })
  return {
    store: {
      ...store,
      close: async () => {
        await store.close()
        objects.close()
      },
    },
    forgetAbsent: store.forgetAbsent,
    dropped: (keys, isLate) => {
      store.noteDropped(keys)
      if (keys === 'all') return
      for (const key of keys) void (isLate ? outbox.remove(key) : outbox.removeAfterwards(key))
    },
    onRemoved: outbox.watch,
    remove: outbox.remove,
    objects,
    trouble: breaker.reason,
    pending: outbox.size,
  }
}
