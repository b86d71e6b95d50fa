/**
 * The table `changing`: a row for each change of a key that is under way. It is the key's lock, a reservation of space,
 * and, from the commit on, the note of files that are still to be deleted.
 */
import { type Database, immediate, keep } from '../../database/sqlite.js'
import type { Bounds } from '../ports.js'
import type { ContentOf, Rows } from './entries.js'
import { toBlob } from './rows.js'
import type { Totals } from './totals.js'

/** A change of a key that has begun: nobody else changes it until `finish`. */
export interface KeyLock {
  readonly name: string
  /** The process that changes it. */
  readonly owner: string
  /** Rises with every change of the store; also the generation that a write of it will have. */
  readonly ticket: number
  /** Where the recovery index has the entry, as it was when the change began; undefined for none. */
  readonly slot?: number | undefined
}

/** Which bounds are exceeded. */
export interface OverBounds {
  readonly bytes: boolean
  readonly names: boolean
}

/** What {@link createLockTable} works with. */
export interface LockParts {
  readonly totals: Totals
  readonly rows: Pick<Rows, 'get' | 'isNamed'>
  /** Deletes a content, synchronously, inside a transaction in which no entry has it. Answers whether it was there. */
  readonly unlink: (digest: string) => boolean
}

/** See {@link createLockTable}. */
export type LockTable = ReturnType<typeof createLockTable>

/** Makes the verbs of the table; those of `rows` belong into a transaction. */
export function createLockTable(db: Database, { totals, rows, unlink }: LockParts) {
  const transaction = immediate(db)
  const sql = keep({
    get: db.prepare<[string], { owner: string; ticket: number; digest: Buffer | null; size: number }>(
      'SELECT owner, ticket, digest, size FROM changing WHERE name = ?',
    ),
    begin: db.prepare<[string, string, number, Buffer | null, number, number]>(
      'INSERT INTO changing VALUES (?, ?, ?, ?, ?, ?)',
    ),
    claim: db.prepare<[string, string, string]>(
      'UPDATE changing SET owner = ?, ticket = 0, adds = 0 WHERE name = ? AND owner = ?',
    ),
    leave: db.prepare<[Buffer | null, number, string]>(
      'UPDATE changing SET ticket = 0, digest = ?, size = ?, adds = 0 WHERE name = ?',
    ),
    finish: db.prepare<[string, string]>('DELETE FROM changing WHERE name = ? AND owner = ?'),
    others: db.prepare<[Buffer, string], { one: 1 }>(
      'SELECT 1 AS one FROM changing WHERE digest = ? AND name <> ? LIMIT 1',
    ),
    of: db.prepare<[string], { name: string }>('SELECT name FROM changing WHERE owner = ?'),
    any: db.prepare<[], { one: 1 }>('SELECT 1 AS one FROM changing LIMIT 1'),
    owners: db.prepare<[], { owner: string }>('SELECT owner FROM changing UNION SELECT owner FROM leases'),
    /** All that is there, with the reservations up to a ticket. */
    usedBefore: db.prepare<[number], { bytes: number; names: number }>(
      `SELECT coalesce(sum(size), 0) + (SELECT coalesce(sum(value), 0) FROM totals WHERE key IN ('bytes', 'unread')) AS bytes,
       coalesce(sum(adds), 0) + (SELECT coalesce(sum(value), 0) FROM totals WHERE key = 'names') AS names
       FROM changing WHERE ticket <= ?`,
    ),
    reserved: db.prepare<[], { size: number; adds: number }>(
      'SELECT coalesce(sum(size), 0) AS size, coalesce(sum(adds), 0) AS adds FROM changing WHERE ticket > 0',
    ),
  })
  return {
    /** For transactions of other tables. */
    rows: {
      get: (name: string) => sql.get.get(name),
      /** Whether a change of another key has this content. */
      isUsedByOthers: (digest: Buffer, name: string): boolean => sql.others.get(digest, name) !== undefined,
      /** From its commit on, a change stands for the content that it leaves to be deleted; its bytes still count. */
      leave: (name: string, content: ContentOf | undefined): void =>
        void sql.leave.run(content?.digest ?? null, content?.size ?? 0, name),
      /** Locks an evicted key until its files are deleted. */
      /** Ends a change that leaves nothing to be deleted. */
      end: (name: string, owner: string): void => void sql.finish.run(name, owner),
      deferDelete: (name: string, owner: string, content: ContentOf | undefined): void =>
        void sql.begin.run(name, owner, 0, content?.digest ?? null, content?.size ?? 0, 0),
      /** All space that is reserved. */
      reserved: () => sql.reserved.get() ?? { size: 0, adds: 0 },
    },
    /**
     * Begins a change of a key: it is locked, and the space for it reserved.
     * @returns its lock, or the owner of the change that is under way
     */
    begin: transaction(
      (
        name: string,
        owner: string,
        digest: string | undefined,
        size: number,
      ): KeyLock | { readonly busy: string } => {
        const other = sql.get.get(name)
        if (other !== undefined) return { busy: other.owner }
        const ticket = totals.nextTicket()
        const row = rows.get(name)
        const adds = digest === undefined || row !== undefined ? 0 : 1
        const content = digest === undefined ? null : toBlob(digest)
        sql.begin.run(name, owner, ticket, content, size, adds)
        return { name, owner, ticket, slot: row?.slot }
      },
    ),
    /** Takes over a change whose process has died (or that ended badly here). Answers its ticket. */
    claim: transaction((name: string, owner: string, from: string): number | undefined => {
      const ticket = sql.get.get(name)?.ticket ?? 0
      return sql.claim.run(owner, name, from).changes > 0 ? ticket : undefined
    }),
    /** Which bounds the reservations up to this ticket would exceed, beside all that is there. */
    overBounds: (ticket: number, bounds: Bounds): OverBounds => {
      const { bytes, names } = sql.usedBefore.get(ticket) ?? { bytes: 0, names: 0 }
      return { bytes: bytes > bounds.maxBytes, names: names > bounds.maxNames }
    },
    /**
     * Ends a change whose index entries are in order: content that no entry has any more is deleted, then the lock.
     * Until a lost catalogue has been read back, content stays: an entry that is not here yet may have it.
     */
    finish: transaction((name: string, owner: string): void => {
      const mine = sql.get.get(name)
      if (mine?.owner !== owner) return
      const { digest, size } = mine
      if (digest !== null && !rows.isNamed(digest) && sql.others.get(digest, name) === undefined) {
        if (totals.isComplete()) unlink(digest.toString('hex'))
        else if (totals.isMeasured()) totals.add('unread', size)
      }
      sql.finish.run(name, owner)
    }),
    /** Whether a key's change is this process's. */
    owns: (name: string, owner: string): boolean => sql.get.get(name)?.owner === owner,
    /** Who has changes or leases under way. */
    owners: (): readonly string[] => sql.owners.all().map((row) => row.owner),
    changingOf: (owner: string): readonly string[] => sql.of.all(owner).map((row) => row.name),
    /** Whether nothing is being changed by anybody. */
    isQuiet: (): boolean => sql.any.get() === undefined,
  }
}
