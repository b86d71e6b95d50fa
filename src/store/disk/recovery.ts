/**
 * What is done in the background: after a crash or a lost catalogue the store is recovered; other processes' changes and
 * deaths are noticed; last uses are written down.
 */

import type { Connection } from './connection.js'
import type { Eviction } from './eviction.js'
import type { KeyLocks } from './key-locks.js'
import type { Leases } from './leases.js'
import type { DiskParts } from './parts.js'
import type { Sweep } from './sweep.js'

const FLUSH_EVERY = 30_000
/** Other processes' changes are seen within a second. */
const POLL_EVERY = 500
/** Every so many polls, a look for processes that died. */
const RECOVER_EVERY = 10

/** What {@link createRecovery} works with. */
export type RecoveryParts = Pick<
  DiskParts,
  'processes' | 'catalogue' | 'changed' | 'flush' | 'isClosed' | 'onError'
> & {
  readonly connection: Pick<Connection, 'reopenLost' | 'orDefault'>
  readonly locks: Pick<KeyLocks, 'recover'>
  readonly leases: Pick<Leases, 'retry'>
  readonly sweep: Pick<Sweep, 'sweep'>
  readonly eviction: Pick<Eviction, 'trim'>
  rebuild(): Promise<void>
}

/** Makes the background work of a store, and begins with it. */
export function createRecovery(parts: RecoveryParts) {
  const { processes, catalogue, connection, locks, leases, sweep, eviction, isClosed, onError } = parts
  /** Whether the catalogue was lost since the last sweep: then anything may have been left behind. */
  let wasLost = false
  let isRunning = false
  let done: Promise<void> = Promise.resolve()
  let recovering: Promise<unknown> | undefined
  let polls = 0

  const isRebuilding = (): boolean =>
    connection.orDefault('look-up', (current) => !current.isComplete(), false)
  const recover = async (): Promise<void> => {
    isRunning = true
    try {
      const crashed = processes.reap()
      const undone = await locks.recover()
      if (!catalogue().isComplete()) await parts.rebuild()
      else if (crashed + undone > 0 || wasLost) await sweep.sweep()
      wasLost = false
      if (!isClosed()) await eviction.trim()
    } catch (error) {
      onError('tidying up', error)
    } finally {
      isRunning = false
    }
  }
  const start = (): void => {
    done = done.then(() => (isClosed() ? undefined : recover()))
  }
  const poll = (): void => {
    polls += 1
    processes.return()
    connection.reopenLost()
    const changed = catalogue().changes()
    if (changed === 'all' || changed.length > 0) parts.changed(changed)
    leases.retry()
    if (polls % RECOVER_EVERY !== 0 || isRunning) return
    // A rebuild that failed is tried again.
    if (isRebuilding()) start()
    else {
      recovering ??= locks
        .recover()
        .catch((error) => onError('recovering', error))
        .finally(() => {
          recovering = undefined
        })
    }
  }
  start()
  const flushTimer = setInterval(parts.flush, FLUSH_EVERY).unref()
  const pollTimer = setInterval(() => connection.orDefault('polling', poll, undefined), POLL_EVERY).unref()
  return {
    isRebuilding,
    /** Begins again, since the catalogue was lost. */
    restart: (): void => {
      wasLost = true
      start()
    },
    /** Resolves when what was begun is done. */
    ready: (): Promise<void> => done,
    stop: async (): Promise<void> => {
      clearInterval(flushTimer)
      clearInterval(pollTimer)
      await done
      await recovering
    },
  }
}
