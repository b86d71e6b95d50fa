/**
 * The catalogue: names and facts in SQLite. It answers synchronously in microseconds, is shared by several
 * processes (WAL), and can be rebuilt from cacache.
 *
 * Facts change first, files follow: a row is committed before the files that it replaces are taken away, and
 * the table `changing` says which those are until they are gone. So a process may die anywhere, and what a
 * name stands for is there. Naming bytes and taking away content that no name has any more each happen in an
 * immediate transaction, so that no process unlinks what another is naming.
 */
import { statSync } from 'node:fs'
import { keep, openDatabase, type Statement } from '../../database/sqlite.js'
import type { Entry, Role } from '../../model/entry.js'
import type { Failure } from '../../model/failure.js'
import { type Bounds, EVICT_TO, type Selection } from '../ports.js'
import { createHistory } from './history.js'
import { factsText } from './names.js'
import { type Row, type StoredEntry, toBlob, toNamed, toRow, WRITTEN } from './rows.js'
import { CATALOGUE } from './schema.js'
import { createSearch } from './search.js'

/** How many changed names other processes may lag behind before they drop all they remember. */
const CHANGE_LOG = 20_000
const MAX_FAILURES = 10_000
const MAX_NOTES = 10_000
/** Failures are counted down to their bound once in so many. */
const TRIM_FAILURES_EVERY = 100

/** What another process has done: the names it changed, or `all` when the log does not reach back. */
export type ChangeFeed = readonly string[] | 'all'

/** A change of a name that has begun: nobody else changes it until `finish`. */
export interface KeyLock {
  readonly name: string
  /** Who changes it. */
  readonly owner: string
  /** Rises with every change of the store; also the generation that a write of it will have. */
  readonly ticket: number
}

/** Which bounds are passed. */
export interface OverBounds {
  readonly bytes: boolean
  readonly names: boolean
}

/** What became of naming bytes. */
export type Outcome = 'named' | 'no-content' | 'lost'

/** Looks a change's files over, synchronously: bytes of its index entry on disk, undefined where a file is missing. */
export type Inspect = () => number | undefined

/** What giving up a damaged content came to. */
export interface Discarded {
  readonly names: readonly string[]
  readonly locked: readonly string[]
}

/** What was found in cacache under a key. */
export interface IndexEntry {
  readonly entry: Entry
  readonly generation: number
  readonly slot: number
}

/** What a catalogue works with. */
export interface CatalogueParts {
  /**
   * Takes the content of a digest off the disk, synchronously; called inside a transaction in which no name has it.
   * Answers whether it was there.
   */
  readonly unlink: (digest: string) => boolean
  readonly now: () => number
  /** Told of a file that was put aside. */
  readonly tell?: (message: string) => void
}

interface FailureRow extends Omit<Failure, 'about'> {
  readonly name: string
  readonly about: string | null
}
/** A failure belongs to its subject for as long as it is the same failure: an earlier version knows of no subjects. */
const FAILURES = `SELECT f.name, code, message, f.at, until, count, about FROM failures AS f
  LEFT JOIN failure_subjects AS s ON s.name = f.name AND s.at = f.at`
const toFailure = ({ about, name: _name, ...failure }: FailureRow): Failure => ({
  ...failure,
  ...(about !== null && { about }),
})

/** See the top of the file. Every verb is synchronous and throws what SQLite throws. */
export type Catalogue = ReturnType<typeof openCatalogue>

const COUNTED = ['original', 'rendition', 'artwork'] as const satisfies readonly Role[]

/**
 * Opens (or makes) a catalogue.
 * @param damaged the inode of a file that was found damaged, and is to be replaced
 */
export function openCatalogue(file: string, { unlink, now, tell }: CatalogueParts, damaged?: number) {
  const { db, inode } = openDatabase(file, damaged, CATALOGUE, tell)
  const sql = keep({
    get: db.prepare<[string], Row>('SELECT * FROM names WHERE name = ?'),
    put: db.prepare(`INSERT INTO names (${WRITTEN.join(', ')}, dependents)
      VALUES (${WRITTEN.map((column) => `@${column}`).join(', ')},
        (SELECT count(*) FROM names WHERE original = @name))
      ON CONFLICT (name) DO UPDATE SET ${WRITTEN.map((column) => `${column} = excluded.${column}`).join(', ')}`),
    amend: db.prepare(`UPDATE names SET checkedAt = @checkedAt, freshFor = @freshFor, etag = @etag,
      lastModified = @lastModified, staleWhileRevalidate = @staleWhileRevalidate, staleIfError = @staleIfError, facts = @facts
      WHERE name = @name AND digest = @digest`),
    remove: db.prepare<[string]>('DELETE FROM names WHERE name = ?'),
    letGo: db.prepare<[string]>('UPDATE names SET held = 0, indexBytes = 0 WHERE name = ?'),
    relist: db.prepare<[number, string]>('UPDATE names SET indexBytes = ? WHERE name = ?'),
    depend: db.prepare<[number, string]>('UPDATE names SET dependents = dependents + ? WHERE name = ?'),
    named: db.prepare<[Buffer], { one: 1 }>(
      'SELECT 1 AS one FROM names WHERE digest = ? AND held = 1 LIMIT 1',
    ),
    sharing: db.prepare<[Buffer], Row>('SELECT * FROM names WHERE digest = ? AND held = 1'),
    digestsAfter: db.prepare<
      [Buffer, number],
      { digest: Buffer; size: number }
    >(`SELECT digest, size FROM names
      WHERE held = 1 AND digest > ? GROUP BY digest ORDER BY digest LIMIT ?`),
    oldestHeld: db.prepare<[number], Row>(`SELECT * FROM names AS n WHERE held = 1
      AND NOT EXISTS (SELECT 1 FROM changing AS c WHERE c.name = n.name) ORDER BY usedAt LIMIT ?`),
    oldestFree: db.prepare<[number], Row>(`SELECT * FROM names AS n WHERE dependents = 0
      AND NOT EXISTS (SELECT 1 FROM changing AS c WHERE c.name = n.name) ORDER BY usedAt LIMIT ?`),
    any: db.prepare<[number], Row>(`SELECT * FROM names AS n
      WHERE NOT EXISTS (SELECT 1 FROM changing AS c WHERE c.name = n.name) LIMIT ?`),
    use: db.prepare<[number, string, number]>('UPDATE names SET usedAt = ? WHERE name = ? AND usedAt < ?'),
    total: db.prepare<[string], { value: number }>('SELECT value FROM totals WHERE key = ?'),
    add: db.prepare<[string, number]>(`INSERT INTO totals VALUES (?, ?)
      ON CONFLICT (key) DO UPDATE SET value = value + excluded.value`),
    setTotal: db.prepare<[string, number]>('INSERT OR REPLACE INTO totals VALUES (?, ?)'),
    dropTotal: db.prepare<[string]>('DELETE FROM totals WHERE key = ?'),
    change: db.prepare<[string], { owner: string; ticket: number; digest: Buffer | null; size: number }>(
      'SELECT owner, ticket, digest, size FROM changing WHERE name = ?',
    ),
    begin: db.prepare<[string, string, number, Buffer | null, number, number]>(
      'INSERT INTO changing VALUES (?, ?, ?, ?, ?, ?)',
    ),
    claim: db.prepare<[string, string, string]>(
      'UPDATE changing SET owner = ?, ticket = 0, adds = 0 WHERE name = ? AND owner = ?',
    ),
    /** From its commit on, a change stands for the files that it leaves behind; everybody counts their bytes. */
    leave: db.prepare<[Buffer | null, number, string]>(
      'UPDATE changing SET ticket = 0, digest = ?, size = ?, adds = 0 WHERE name = ?',
    ),
    finish: db.prepare<[string, string]>('DELETE FROM changing WHERE name = ? AND owner = ?'),
    others: db.prepare<[Buffer, string], { one: 1 }>(
      'SELECT 1 AS one FROM changing WHERE digest = ? AND name <> ? LIMIT 1',
    ),
    changingOf: db.prepare<[string], { name: string }>('SELECT name FROM changing WHERE owner = ?'),
    changingAny: db.prepare<[], { one: 1 }>('SELECT 1 AS one FROM changing LIMIT 1'),
    owners: db.prepare<[], { owner: string }>('SELECT owner FROM changing UNION SELECT owner FROM leases'),
    ahead: db.prepare<[number], { size: number; adds: number }>(
      'SELECT coalesce(sum(size), 0) AS size, coalesce(sum(adds), 0) AS adds FROM changing WHERE ticket <= ?',
    ),
    waiting: db.prepare<[], { size: number; adds: number }>(
      'SELECT coalesce(sum(size), 0) AS size, coalesce(sum(adds), 0) AS adds FROM changing WHERE ticket > 0',
    ),
    leaseOf: db.prepare<[string], { owner: string }>('SELECT owner FROM leases WHERE key = ?'),
    lease: db.prepare<[string, string]>('INSERT OR REPLACE INTO leases VALUES (?, ?)'),
    unlease: db.prepare<[string, string]>('DELETE FROM leases WHERE key = ? AND owner = ?'),
    unleaseAll: db.prepare<[string]>('DELETE FROM leases WHERE owner = ?'),
    log: db.prepare<[string]>('INSERT INTO changes (name) VALUES (?)'),
    trimLog: db.prepare<[number]>('DELETE FROM changes WHERE seq <= ?'),
    lastChange: db.prepare<[], { seq: number | null }>('SELECT max(seq) AS seq FROM changes'),
    firstChange: db.prepare<[], { seq: number | null }>('SELECT min(seq) AS seq FROM changes'),
    changes: db.prepare<[number], { name: string }>('SELECT DISTINCT name FROM changes WHERE seq > ?'),
    failure: db.prepare<[string], FailureRow>(`${FAILURES} WHERE f.name = ?`),
    fail: db.prepare('INSERT OR REPLACE INTO failures VALUES (@name, @code, @message, @at, @until, @count)'),
    trimFailures: db.prepare(`DELETE FROM failures WHERE name IN
      (SELECT name FROM failures ORDER BY until LIMIT max(0, (SELECT count(*) FROM failures) - ${MAX_FAILURES}))`),
    failures: db.prepare<[string, number], FailureRow>(
      `${FAILURES} WHERE f.name > ? ORDER BY f.name LIMIT ?`,
    ),
    setSubject: db.prepare<[string, string, number]>(
      'INSERT OR REPLACE INTO failure_subjects VALUES (?, ?, ?)',
    ),
    trimSubjects: db.prepare('DELETE FROM failure_subjects WHERE name NOT IN (SELECT name FROM failures)'),
    unfail: db.prepare<[string]>('DELETE FROM failures WHERE name = ?'),
    place: db.prepare<[string], { value: string }>('SELECT value FROM places WHERE key = ?'),
    setPlace: db.prepare<[string, string]>('INSERT OR REPLACE INTO places VALUES (?, ?)'),
    owned: db.prepare<[], { kind: string; count: number; bytes: number }>(`SELECT ownerKind AS kind,
      count(*) AS count, sum(size) AS bytes FROM names WHERE ownerKind IS NOT NULL AND held = 1 GROUP BY ownerKind`),
    note: db.prepare<[string], { value: string; at: number }>('SELECT value, at FROM notes WHERE key = ?'),
    setNote: db.prepare<[string, string, number]>('INSERT OR REPLACE INTO notes VALUES (?, ?, ?)'),
    trimNotes: db.prepare(`DELETE FROM notes WHERE key IN
      (SELECT key FROM notes ORDER BY at LIMIT max(0, (SELECT count(*) FROM notes) - ${MAX_NOTES}))`),
    version: db.prepare<[], { data_version: number }>('PRAGMA data_version'),
    selections: new Map<string, Statement<[object], Row>>(),
  })
  const history = createHistory(db, keep, now)
  const total = (key: string): number => sql.total.get(key)?.value ?? 0
  const search = createSearch(db, keep, (role) => total(role ?? 'names'))
  const isComplete = (): boolean => total('complete') === 1
  const isMeasured = (): boolean => sql.total.get('unread') !== undefined
  const isNamed = (digest: Buffer): boolean => sql.named.get(digest) !== undefined
  let seen = sql.lastChange.get()?.seq ?? 0
  let version = sql.version.get()?.data_version
  let failuresSet = 0

  const immediately = <A extends unknown[], T>(work: (...args: A) => T): ((...args: A) => T) =>
    db.transaction(work).immediate
  /** Notes a change for the other processes. Every 1,000th time, the log is cut to its length. */
  const noteChange = (name: string): void => {
    const seq = Number(sql.log.run(name).lastInsertRowid)
    if (seq % 1000 === 0) sql.trimLog.run(seq - CHANGE_LOG)
  }
  const nextTicket = (): number => {
    // Follows the clock, so that it goes on rising when the catalogue was lost and starts anew.
    const ticket = Math.max(total('generation') + 1, Date.now())
    sql.setTotal.run('generation', ticket)
    return ticket
  }

  /** Writes a row that is held, and keeps every total and count right. Answers what was there before. */
  const putRow = (entry: Entry, standing: Parameters<typeof toRow>[1]): Row | undefined => {
    const before = sql.get.get(entry.key)
    if (!isNamed(toBlob(entry.digest))) sql.add.run('bytes', entry.size)
    if (before === undefined) sql.add.run('names', 1)
    if (before?.role !== entry.role) {
      sql.add.run(entry.role, 1)
      if (before !== undefined) sql.add.run(before.role, -1)
    }
    sql.add.run('indexBytes', standing.indexBytes - (before?.indexBytes ?? 0))
    sql.put.run(toRow(entry, standing))
    const origin = before?.original ?? undefined
    if (origin !== entry.original) {
      if (origin !== undefined) sql.depend.run(-1, origin)
      if (entry.original !== undefined) sql.depend.run(1, entry.original)
    }
    return before
  }
  /** After a row let go of its digest: the content that no name has any more, undefined where one still has it. */
  const garbageOf = (row: Row): Pick<Row, 'digest' | 'size'> | undefined => {
    if (row.held !== 1 || isNamed(row.digest)) return undefined
    sql.add.run('bytes', -row.size)
    return row
  }
  const dropRow = (row: Row): Pick<Row, 'digest' | 'size'> | undefined => {
    sql.remove.run(row.name)
    sql.add.run('names', -1)
    sql.add.run(row.role, -1)
    sql.add.run('indexBytes', -row.indexBytes)
    if (row.original !== null && row.original !== undefined) sql.depend.run(-1, row.original)
    noteChange(row.name)
    if (history.isOf(row.role)) history.note(row.name, 'removed')
    return garbageOf(row)
  }
  /** Gives up bytes. Artwork keeps its row, so that it can heal, and so does what something kept was made from. */
  const giveUp = (row: Row): Pick<Row, 'digest' | 'size'> | undefined => {
    if (row.role !== 'artwork' && row.dependents === 0) return dropRow(row)
    if (row.held === 1) history.note(row.name, 'evicted')
    sql.letGo.run(row.name)
    sql.add.run('indexBytes', -row.indexBytes)
    noteChange(row.name)
    return garbageOf(row)
  }
  /** Notes the files that a row which was given up leaves behind, for `finish`. */
  const leaveBehind = (
    name: string,
    owner: string,
    garbage: Pick<Row, 'digest' | 'size'> | undefined,
  ): void => void sql.begin.run(name, owner, 0, garbage?.digest ?? null, garbage?.size ?? 0, 0)

  const evict = immediately(
    (owner: string, bounds: Bounds, passed: OverBounds, batch: number): readonly string[] => {
      const gone: string[] = []
      const wanted = sql.waiting.get() ?? { size: 0, adds: 0 }
      const go = (rows: readonly Row[], over: () => boolean, how: typeof dropRow): void => {
        for (const row of rows) {
          if (gone.length >= batch || !over()) return
          // What went before it in this batch may have changed a row.
          const now = sql.get.get(row.name)
          if (now === undefined || sql.change.get(row.name) !== undefined) continue
          if (how === dropRow && now.dependents > 0) continue
          leaveBehind(row.name, owner, how(now))
          gone.push(row.name)
        }
      }
      const overBytes = () => total('bytes') + total('unread') + wanted.size > bounds.maxBytes * EVICT_TO
      const overNames = () => total('names') + wanted.adds > bounds.maxNames * EVICT_TO
      if (passed.bytes) go(sql.oldestHeld.all(batch), overBytes, giveUp)
      if (passed.names) go(sql.oldestFree.all(batch), overNames, dropRow)
      return gone
    },
  )

  return {
    /** Which file this is. */
    inode,
    /** Writes something, and takes it back: the log has to take it. @throws what SQLite throws when it cannot */
    probe: immediately((): void => {
      sql.setTotal.run('probe', 1)
      sql.dropTotal.run('probe')
    }),
    get: (name: string): StoredEntry | undefined => {
      const row = sql.get.get(name)
      return row === undefined ? undefined : toNamed(row)
    },

    /**
     * Begins a change of a name: it is locked, and the space for it reserved.
     * @returns its ticket, or the owner of the change that is under way
     */
    begin: immediately(
      (
        name: string,
        owner: string,
        digest: string | undefined,
        size: number,
      ): KeyLock | { readonly busy: string } => {
        const other = sql.change.get(name)
        if (other !== undefined) return { busy: other.owner }
        const ticket = nextTicket()
        const adds = digest === undefined || sql.get.get(name) !== undefined ? 0 : 1
        sql.begin.run(name, owner, ticket, digest === undefined ? null : toBlob(digest), size, adds)
        return { name, owner, ticket }
      },
    ),
    /** Takes over a change whose process has died (or that ended badly here). */
    claim: immediately((name: string, owner: string, from: string): number | undefined => {
      const ticket = sql.change.get(name)?.ticket ?? 0
      return sql.claim.run(owner, name, from).changes > 0 ? ticket : undefined
    }),
    /** Which bounds the reservations up to this ticket would pass, beside all that is there. */
    passed: (ticket: number, bounds: Bounds): OverBounds => {
      const ahead = sql.ahead.get(ticket) ?? { size: 0, adds: 0 }
      return {
        bytes: total('bytes') + total('unread') + ahead.size > bounds.maxBytes,
        names: total('names') + ahead.adds > bounds.maxNames,
      }
    },
    /** Gives up the least recently used, a batch at a time, down to 90 % of a bound that is passed. Answers the names. */
    evict,
    /** Gives up a batch of anything. Answers the names. */
    evictAny: immediately((owner: string, batch: number): readonly string[] => {
      const rows = sql.any.all(batch)
      for (const row of rows) leaveBehind(row.name, owner, dropRow(row))
      return rows.map((row) => row.name)
    }),
    /** Gives bytes their name. */
    commit: immediately(
      (
        entry: Entry,
        change: KeyLock & { readonly slot: number; readonly usedAt: number },
        inspect: Inspect,
      ): Outcome => {
        const mine = sql.change.get(entry.key)
        if (mine?.owner !== change.owner || mine.ticket !== change.ticket) return 'lost'
        const indexBytes = inspect()
        if (indexBytes === undefined) return 'no-content'
        const { ticket: generation, slot, usedAt } = change
        const before = putRow(entry, { generation, slot, indexBytes, usedAt })
        const replaced =
          before === undefined || before.digest.equals(toBlob(entry.digest)) ? undefined : before
        const garbage = replaced === undefined ? undefined : garbageOf(replaced)
        sql.leave.run(garbage?.digest ?? null, garbage?.size ?? 0, entry.key)
        sql.unfail.run(entry.key)
        noteChange(entry.key)
        if (history.isOf(entry.role) && (before === undefined || replaced !== undefined))
          history.note(entry.key, 'stored', entry.digest)
        return 'named'
      },
    ),
    /** Forgets a name whose change has begun. Answers whether it was there. */
    drop: immediately((change: KeyLock): boolean => {
      const mine = sql.change.get(change.name)
      const row = sql.get.get(change.name)
      if (mine?.owner !== change.owner || row === undefined) return false
      const garbage = dropRow(row)
      sql.leave.run(garbage?.digest ?? null, garbage?.size ?? 0, change.name)
      return true
    }),
    /**
     * Gives up content that is damaged or has vanished, and every name's hold on it.
     * @param isBad looks once more, inside the transaction: another process may have mended it
     * @returns the names that had it, and those among them that are the caller's to settle now
     */
    discard: immediately((digest: string, owner: string, isBad: () => boolean): Discarded => {
      if (!isBad()) return { names: [], locked: [] }
      const rows = sql.sharing.all(toBlob(digest))
      const locked: string[] = []
      for (const { name } of rows) {
        const row = sql.get.get(name)
        if (row !== undefined) giveUp(row)
        if (sql.change.get(name) !== undefined) continue
        leaveBehind(name, owner, undefined)
        locked.push(name)
      }
      unlink(digest)
      return { names: rows.map((row) => row.name), locked }
    }),
    /**
     * Ends a change whose index entries are in order: content that no name has any more goes, then the lock.
     * Until all names have been read back, content stays: one that is not here yet may have it.
     */
    finish: immediately((name: string, owner: string): void => {
      const mine = sql.change.get(name)
      if (mine?.owner !== owner) return
      const { digest, size } = mine
      if (digest !== null && !isNamed(digest) && sql.others.get(digest, name) === undefined) {
        if (isComplete()) unlink(digest.toString('hex'))
        else if (isMeasured()) sql.add.run('unread', size)
      }
      sql.finish.run(name, owner)
    }),

    /** Whether a name's change is this one's. */
    owns: (name: string, owner: string): boolean => sql.change.get(name)?.owner === owner,
    /** Who has changes or leases under way. */
    owners: (): readonly string[] => sql.owners.all().map((row) => row.owner),
    changingOf: (owner: string): readonly string[] => sql.changingOf.all(owner).map((row) => row.name),
    /** Whether nothing is being changed by anybody. */
    isQuiet: (): boolean => sql.changingAny.get() === undefined,
    /** Takes a lease, also from an owner that has died. @returns undefined, or who has it */
    lease: immediately((key: string, owner: string, from?: string): string | undefined => {
      const held = sql.leaseOf.get(key)?.owner
      if (held !== undefined && held !== from) return held
      sql.lease.run(key, owner)
      return undefined
    }),
    unlease: (key: string, owner: string): void => void sql.unlease.run(key, owner),
    unleaseAll: (owner: string): void => void sql.unleaseAll.run(owner),

    /**
     * Puts back names that were found in cacache, unless they are known or being changed.
     * @param exists whether both files are there, asked inside the transaction
     * @returns those found that must be looked at one by one
     */
    restore: immediately(
      (
        found: readonly IndexEntry[],
        exists: (one: IndexEntry) => ReturnType<Inspect>,
        mine?: KeyLock,
      ): readonly IndexEntry[] => {
        const unsure: IndexEntry[] = []
        for (const one of found) {
          const { entry, generation, slot } = one
          const before = sql.get.get(entry.key)
          const changing = mine === undefined && sql.change.get(entry.key) !== undefined
          const known = before !== undefined && (mine === undefined || before.generation >= generation)
          if (before?.generation === generation && before.slot === slot && before.held === 1) continue
          const indexBytes = changing || known ? undefined : exists(one)
          if (indexBytes === undefined) {
            unsure.push(one)
            continue
          }
          if (generation > total('generation')) sql.setTotal.run('generation', generation)
          const isNew = !isNamed(toBlob(entry.digest))
          const replaced = putRow(entry, { generation, slot, indexBytes, usedAt: entry.storedAt })
          if (isNew && isMeasured()) sql.setTotal.run('unread', Math.max(0, total('unread') - entry.size))
          if (replaced !== undefined && !replaced.digest.equals(toBlob(entry.digest))) garbageOf(replaced)
          noteChange(entry.key)
        }
        return unsure
      },
    ),
    /** Whether names from before have all been read back. */
    isComplete,
    /** Says so, once they are; bytes on disk that were not read back are none of ours. */
    setComplete: immediately((): void => {
      sql.setTotal.run('unread', 0)
      sql.setTotal.run('complete', 1)
    }),
    /** Whether it is known how many bytes there are whose names have not been read back yet. */
    isMeasured,
    /** Says how many. */
    setUnread: (bytes: number): void => void sql.setTotal.run('unread', bytes),
    /**
     * Takes away those of the contents that no name has and nobody is writing. Answers how many.
     * @param isReadBack the caller has just read every name back
     */
    sweep: immediately((digests: readonly string[], isReadBack: boolean): number => {
      if (!isReadBack && !isComplete()) return 0
      let count = 0
      for (const digest of digests) {
        const blob = toBlob(digest)
        if (isNamed(blob) || sql.others.get(blob, '') !== undefined) continue
        if (unlink(digest)) count += 1
      }
      return count
    }),
    /** Whether an index entry is the one that its name has. */
    isListed: ({ entry, generation, slot }: IndexEntry): boolean => {
      const row = sql.get.get(entry.key)
      return row?.held === 1 && row.generation === generation && row.slot === slot
    },
    /** The names of a content. */
    sharing: (digest: string): readonly StoredEntry[] => sql.sharing.all(toBlob(digest)).map(toNamed),
    /** Held contents after this digest ('' for the first), in their order. */
    digestsAfter: (digest: string, limit: number): readonly { digest: string; size: number }[] =>
      sql.digestsAfter
        .all(toBlob(digest), limit)
        .map((row) => ({ digest: row.digest.toString('hex'), size: row.size })),
    /** Notes what an index entry costs that was written anew. */
    relist: immediately((name: string, indexBytes: number): void => {
      const before = sql.get.get(name)
      if (before === undefined) return
      sql.add.run('indexBytes', indexBytes - before.indexBytes)
      sql.relist.run(indexBytes, name)
    }),

    amend: immediately((entry: Entry): void => {
      const { key: name, validatedAt: checkedAt, freshnessLifetime: freshFor } = entry
      const facts = {
        checkedAt,
        freshFor,
        etag: entry.etag ?? null,
        lastModified: entry.lastModified ?? null,
        staleWhileRevalidate: entry.staleWhileRevalidate ?? null,
        staleIfError: entry.staleIfError ?? null,
        facts: factsText(entry) ?? null,
      }
      sql.amend.run({ name, digest: toBlob(entry.digest), ...facts })
      noteChange(name)
    }),
    use: immediately((uses: Iterable<readonly [name: string, at: number]>): void => {
      for (const [name, at] of uses) sql.use.run(at, name, at)
    }),
    select: (selection: Selection): readonly Entry[] => {
      const { role, original, ownerKind, after, limit } = selection
      const rules = [
        role === undefined ? undefined : 'role = @role',
        role === 'artwork' ? 'ownerKind IS NOT NULL' : undefined,
        original === undefined ? undefined : 'original = @original',
        ownerKind === undefined ? undefined : 'ownerKind = @ownerKind',
        after === undefined ? undefined : 'name > @after',
      ].filter((rule) => rule !== undefined)
      const where = rules.length === 0 ? '' : `WHERE ${rules.join(' AND ')}`
      const rows =
        sql.selections.get(where) ??
        db.prepare<[object], Row>(`SELECT * FROM names ${where} ORDER BY name LIMIT @limit`)
      sql.selections.set(where, rows)
      return rows.all({ role, original, ownerKind, after, limit }).map((row) => toNamed(row).entry)
    },
    totals: () => ({
      bytes: total('bytes'),
      names: total('names'),
      indexBytes: total('indexBytes'),
      byRole: Object.fromEntries(COUNTED.map((role) => [role, total(role)])) as Record<Role, number>,
    }),
    failures: {
      get: (key: string): Failure | undefined => {
        const row = sql.failure.get(key)
        return row && toFailure(row)
      },
      set: immediately((key: string, failure: Failure): void => {
        const { about, ...row } = failure
        sql.fail.run({ name: key, ...row })
        if (about !== undefined) sql.setSubject.run(key, about, failure.at)
        history.note(key, 'failed', `${failure.code}: ${failure.message}`)
        failuresSet += 1
        if (failuresSet % TRIM_FAILURES_EVERY === 1) {
          sql.trimFailures.run()
          sql.trimSubjects.run()
        }
      }),
      clear: (key: string): void => void sql.unfail.run(key),
      /** In the order of their names. @param after only names after this one */
      list: (after: string, limit: number): readonly (Failure & { readonly name: string })[] =>
        sql.failures.all(after, limit).map((row) => ({ ...toFailure(row), name: row.name })),
      clearAll: (): void => void db.exec('DELETE FROM failures'),
    },
    owned: () => sql.owned.all(),
    search,
    /** What happened to a name, latest first. */
    history: history.of,
    notes: {
      get: (key: string) => sql.note.get(key),
      set: immediately((key: string, value: string, at: number): void => {
        sql.setNote.run(key, value, at)
        sql.trimNotes.run()
      }),
    },
    /** How many purges there were, in all processes. */
    purges: (): number => total('purges'),
    notePurge: immediately((): void => void sql.add.run('purges', 1)),
    /** Where a long piece of work stands. */
    places: {
      get: (key: string): string | undefined => sql.place.get(key)?.value,
      set: (key: string, value: string): void => void sql.setPlace.run(key, value),
    },
    /** What other processes changed since the last call; nothing is read when nobody wrote. */
    changes: (): ChangeFeed => {
      const current = sql.version.get()?.data_version
      if (current === version) return []
      version = current
      const from = seen
      seen = sql.lastChange.get()?.seq ?? from
      const first = sql.firstChange.get()?.seq ?? 0
      return first > from + 1 ? 'all' : sql.changes.all(from).map((row) => row.name)
    },
    fileSize: (): number =>
      ['', '-wal'].reduce(
        (sum, suffix) => sum + (statSync(file + suffix, { throwIfNoEntry: false })?.size ?? 0),
        0,
      ),
    close: (): void => void db.close(),
  }
}
