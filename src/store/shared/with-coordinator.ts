/**
 * A store over a store, one of several nodes: leases are taken for all of them, and what changes here is heard everywhere. Without
 * the coordinator each node works alone, and what it did is told to the others later.
 */
import type {
  ClusterChange,
  ClusterLease,
  Coordinator,
  CoordinatorListener,
  SharedHosts,
} from '../../model/coordinator.js'
import type { Logger } from '../../model/logger.js'
import { entries } from '../pager.js'
import type { Lease, Store } from '../ports.js'
import type { SharedTier } from './shared-tier.js'

/** What it works with. */
export interface ClusterParts {
  /** The store of this node, without the shared one: what others changed goes here only. */
  readonly local: Store
  /** The shared store, where there is one. */
  readonly tier: Pick<SharedTier, 'forgetAbsent' | 'dropped' | 'onRemoved'> | undefined
  readonly logger: Logger
  /** Removes what this node has of keys outside of its store: uploads. */
  dropped(keys: readonly string[]): Promise<void>
  /** It cannot be known what others removed: what is outside of the store is to be looked at again. */
  missed(): Promise<void>
  /** Which hosts rest after failures, here. */
  readonly hosts: SharedHosts
  /** Called with keys that are not what they were. */
  onChange(keys: readonly string[] | 'all'): void
  open(listener: CoordinatorListener): Promise<Coordinator>
}

const POSITION = 'cluster/position'
const UNSENT = 'cluster/unsent'
const BATCH = 500

/** Takes keys away here, with everything that was made from them. */
async function drop({ local, dropped, onChange }: ClusterParts, keys: readonly string[]): Promise<void> {
  const gone = new Set(keys)
  for (const key of keys) {
    for await (const entry of entries(local, { original: key }, BATCH)) {
      gone.add(entry.key)
      await local.delete(entry.key)
    }
    await local.delete(key)
  }
  await dropped(keys)
  onChange([...gone])
}

/** Does here what another node has done. */
async function apply(
  parts: ClusterParts,
  { what, keys, failure }: ClusterChange,
  isLate: boolean,
): Promise<void> {
  const { local, onChange } = parts
  switch (what) {
    case 'dropped':
      // What is read from the shared store; a purge has said before that it begins.
      parts.tier?.dropped(keys, isLate)
      return drop(parts, keys)
    case 'cleared':
      local.advanceGeneration()
      parts.tier?.dropped('all', isLate)
      await local.clear()
      onChange('all')
      return
    case 'purging':
      local.advanceGeneration()
      return
    case 'failed':
      if (failure !== undefined) for (const key of keys) local.negativeCache.set(key, failure)
      onChange(keys)
      return
    case 'succeeded':
      for (const key of keys) local.negativeCache.clear(key)
      onChange(keys)
      return
    case 'resting':
    case 'recovered':
      // What was so a while ago says nothing of now.
      if (!isLate) for (const host of keys) parts.hosts.heard(host, what === 'resting')
  }
}

/** Wraps `inner`, which has the shared store in it where there is one. */
export async function withCoordinator(
  inner: Store,
  parts: ClusterParts,
): Promise<{ readonly store: Store; readonly coordinator: Coordinator }> {
  const { local, logger } = parts
  let applying: Promise<void> = Promise.resolve()
  const later = (work: () => Promise<void>): void => {
    applying = applying.then(work).catch((error) => {
      logger.error({ err: error }, 'artwork cluster: a change of another node could not be taken over')
    })
  }
  const coordinator = await parts.open({
    heard: (changes, isLate) => {
      if (changes === 'lost') {
        logger.warn({}, 'artwork cluster: changes of other nodes were missed, so that this node begins anew')
        later(async () => {
          await apply(parts, { what: 'cleared', keys: [] }, true)
          await parts.missed()
        })
      } else for (const change of changes) later(() => apply(parts, change, isLate))
      return applying
    },
    position: () => local.keyValue.get(POSITION)?.value,
    savePosition: (position) => local.keyValue.set(POSITION, position),
    unsent: () => local.keyValue.get(UNSENT)?.value ?? '',
    saveUnsent: (text) => local.keyValue.set(UNSENT, text),
  })
  const { publish } = coordinator
  parts.hosts.divideBy(coordinator.nodes)
  parts.hosts.watch((host, isResting) => publish({ what: isResting ? 'resting' : 'recovered', keys: [host] }))
  parts.tier?.onRemoved((key) =>
    publish(key === '' ? { what: 'cleared', keys: [] } : { what: 'dropped', keys: [key] }),
  )
  /** Once more when the shared store has what is right: a node may have read it there before. */
  const publishAgain = (key: string): void => {
    const again = () => publish({ what: 'dropped', keys: [key] })
    inner.settled(key).then(again, again)
  }

  /** Leases that this node has, by their keys. */
  const held = new Map<string, ClusterLease>()
  const store: Store = {
    ...inner,
    lease: async (key, signal): Promise<Lease> => {
      const here = await inner.lease(key, signal)
      // Without a shared store, what another node has done is not to be had from it.
      if (parts.tier === undefined) return here
      const everywhere = await coordinator.lease(key, signal)
      if (everywhere.waited) parts.tier.forgetAbsent()
      held.set(key, everywhere)
      return {
        waited: here.waited || everywhere.waited,
        release: () => {
          if (held.get(key) === everywhere) held.delete(key)
          everywhere.release()
          here.release()
        },
      }
    },
    advanceGeneration: () => {
      inner.advanceGeneration()
      publish({ what: 'purging', keys: [] })
    },
    write: async (entry, bytes, options) => {
      const lease = held.get(entry.key)
      if (lease !== undefined && !(await lease.isHeld())) {
        // This node stood still for longer than the lease lasts: what another one has stored since is newer.
        logger.warn({ image: entry.key }, 'artwork cluster: not stored, another node has done it')
        local.advanceGeneration()
      }
      const before = inner.find(entry.key)
      const written = await inner.write(entry, bytes, options)
      if (before !== undefined && before.digest !== written.digest) {
        publish({ what: 'dropped', keys: [entry.key] })
        publishAgain(entry.key)
      }
      return written
    },
    update: (entry, changes) => {
      const updated = inner.update(entry, changes)
      // What somebody has said of a picture holds everywhere.
      if ('focalPoint' in changes && changes.focalPoint !== entry.focalPoint) publishAgain(entry.key)
      return updated
    },
    delete: async (key, scope) => {
      if (scope === 'node') return inner.delete(key, scope)
      // Heard at once, and once more when the shared store has it no more.
      publish({ what: 'dropped', keys: [key] })
      const wasThere = await inner.delete(key)
      publish({ what: 'dropped', keys: [key] })
      return wasThere
    },
    clear: async () => {
      publish({ what: 'cleared', keys: [] })
      await inner.clear()
      publish({ what: 'cleared', keys: [] })
    },
    negativeCache: {
      ...inner.negativeCache,
      set: (key, failure) => {
        inner.negativeCache.set(key, failure)
        publish({ what: 'failed', keys: [key], failure })
      },
      clear: (key) => {
        const wasThere = inner.negativeCache.get(key) !== undefined
        inner.negativeCache.clear(key)
        if (wasThere) publish({ what: 'succeeded', keys: [key] })
      },
    },
    close: async () => {
      await coordinator.published()
      await coordinator.close()
      await applying
      await inner.close()
    },
  }
  return { store, coordinator }
}
