/**
 * The catalogue: names and facts in SQLite. It answers synchronously in microseconds, is shared by several
 * processes (WAL), and can be rebuilt from cacache. Naming bytes and taking away a digest's last name each
 * happen inside one immediate transaction, so that no process unlinks what another is naming.
 */
import { statSync } from 'node:fs'
import type Database from 'better-sqlite3'
import type { Entry, Role } from '../model/entry.js'
import type { Failure } from '../model/errors.js'
import { keep, openDatabase } from './database.js'
import type { Amendment, Selection } from './store.js'

/** How many changed names other processes may lag behind before they drop all they remember. */
const CHANGE_LOG = 20_000
const MAX_FAILURES = 10_000

interface Row extends Omit<Entry, 'held'> {
  readonly held: number
  readonly generation: number
  readonly usedAt: number
}

/** A name as it stands in the catalogue, with the generation its bytes were stored under. */
export interface Named {
  readonly entry: Entry
  readonly generation: number
  readonly usedAt: number
}

/** What another process has done: the names it changed, or `all` when the log does not reach back. */
export type Changes = readonly string[] | 'all'

/** See the top of the file. Every verb is synchronous and throws what SQLite throws. */
export type Catalogue = ReturnType<typeof openCatalogue>

const toNamed = ({ generation, usedAt, held, ...facts }: Row): Named => {
  const absent = Object.fromEntries(
    OPTIONAL.filter((key) => facts[key] === null).map((key) => [key, undefined]),
  )
  return { entry: Object.freeze({ ...facts, ...absent, held: held === 1 }), generation, usedAt }
}

const OPTIONAL = [
  'etag',
  'lastModified',
  'sourceUrl',
  'original',
  'madeFrom',
  'recipe',
  'ownerKind',
  'ownerId',
] as const satisfies readonly (keyof Entry)[]

/** The values of a row as SQLite binds them: it knows null, not undefined. */
const toRow = (entry: Entry, generation: number, usedAt: number): Record<string, string | number | null> => ({
  name: entry.name,
  role: entry.role,
  digest: entry.digest,
  size: entry.size,
  type: entry.type,
  width: entry.width,
  height: entry.height,
  storedAt: entry.storedAt,
  checkedAt: entry.checkedAt,
  freshFor: entry.freshFor,
  held: entry.held ? 1 : 0,
  ...Object.fromEntries(OPTIONAL.map((key) => [key, entry[key] ?? null])),
  generation,
  usedAt,
})

/**
 * Opens (or makes) a catalogue.
 * @param unlink takes the content of a digest off the disk, synchronously; called inside the transaction
 *   that took its last name away
 */
export function openCatalogue(file: string, unlink: (digest: string) => void) {
  const db = openDatabase(file)
  const sql = keep({
    get: db.prepare<[string], Row>('SELECT * FROM names WHERE name = ?'),
    put: db.prepare(`INSERT OR REPLACE INTO names VALUES (@name, @role, @generation, @digest, @size, @type, @width,
      @height, @storedAt, @checkedAt, @freshFor, @held, @etag, @lastModified, @sourceUrl, @original, @madeFrom,
      @recipe, @ownerKind, @ownerId, @usedAt)`),
    amend: db.prepare(`UPDATE names SET checkedAt = @checkedAt, freshFor = @freshFor, etag = @etag,
      lastModified = @lastModified WHERE name = @name AND digest = @digest`),
    remove: db.prepare<[string]>('DELETE FROM names WHERE name = ?'),
    letGo: db.prepare<[string]>('UPDATE names SET held = 0 WHERE name = ?'),
    named: db.prepare<[string], { one: 1 }>(
      'SELECT 1 AS one FROM names WHERE digest = ? AND held = 1 LIMIT 1',
    ),
    oldestHeld: db.prepare<[number], Row>('SELECT * FROM names WHERE held = 1 ORDER BY usedAt LIMIT ?'),
    oldestFree: db.prepare<[number], Row>(`SELECT * FROM names AS n
      WHERE NOT EXISTS (SELECT 1 FROM names AS made WHERE made.original = n.name) ORDER BY usedAt LIMIT ?`),
    any: db.prepare<[number], { name: string }>('SELECT name FROM names LIMIT ?'),
    sharing: db.prepare<[string], Row>('SELECT * FROM names WHERE digest = ? AND held = 1'),
    use: db.prepare(`UPDATE names SET usedAt = @at WHERE usedAt < @at AND
      (name = @name OR name = (SELECT original FROM names WHERE name = @name))`),
    total: db.prepare<[string], { value: number }>('SELECT value FROM totals WHERE key = ?'),
    add: db.prepare<[number, string]>('UPDATE totals SET value = value + ? WHERE key = ?'),
    setTotal: db.prepare<[number, string]>('UPDATE totals SET value = ? WHERE key = ?'),
    log: db.prepare<[string]>('INSERT INTO changes (name) VALUES (?)'),
    trimLog: db.prepare<[number]>('DELETE FROM changes WHERE seq <= ?'),
    lastChange: db.prepare<[], { seq: number | null }>('SELECT max(seq) AS seq FROM changes'),
    firstChange: db.prepare<[], { seq: number | null }>('SELECT min(seq) AS seq FROM changes'),
    changes: db.prepare<[number], { name: string }>('SELECT DISTINCT name FROM changes WHERE seq > ?'),
    roles: db.prepare<[], { role: Role; count: number }>(
      'SELECT role, count(*) AS count FROM names GROUP BY role',
    ),
    failure: db.prepare<[string], Failure>(
      'SELECT code, message, at, until, count FROM failures WHERE name = ?',
    ),
    fail: db.prepare('INSERT OR REPLACE INTO failures VALUES (@name, @code, @message, @at, @until, @count)'),
    trimFailures: db.prepare(`DELETE FROM failures WHERE name IN
      (SELECT name FROM failures ORDER BY until LIMIT max(0, (SELECT count(*) FROM failures) - ${MAX_FAILURES}))`),
    unfail: db.prepare<[string]>('DELETE FROM failures WHERE name = ?'),
    version: db.prepare<[], { data_version: number }>('PRAGMA data_version'),
    selections: new Map<string, Database.Statement<[object], Row>>(),
  })
  const total = (key: string): number => sql.total.get(key)?.value ?? 0
  let seen = sql.lastChange.get()?.seq ?? 0
  let version = sql.version.get()?.data_version

  /** Notes a change for the other processes. Every 1,000th time, the log is cut to its length. */
  const noteChange = (name: string): void => {
    const { lastInsertRowid } = sql.log.run(name)
    const seq = Number(lastInsertRowid)
    if (seq % 1000 === 0) sql.trimLog.run(seq - CHANGE_LOG)
  }
  /** After a name let go of a digest: with its last name, the content goes too. */
  const release = (row: Row): void => {
    if (row.held !== 1 || sql.named.get(row.digest) !== undefined) return
    sql.add.run(-row.size, 'bytes')
    unlink(row.digest)
  }
  const immediately = <A extends unknown[], T>(work: (...args: A) => T): ((...args: A) => T) =>
    db.transaction(work).immediate

  const name = immediately((entry: Entry, generation: number, usedAt: number, exists: () => boolean) => {
    if (!exists()) return 'no-content' as const
    const before = sql.get.get(entry.name)
    if (sql.named.get(entry.digest) === undefined) sql.add.run(entry.size, 'bytes')
    if (before === undefined) sql.add.run(1, 'names')
    sql.put.run(toRow(entry, generation, usedAt))
    if (before !== undefined && before.digest !== entry.digest) release(before)
    sql.unfail.run(entry.name)
    noteChange(entry.name)
    return before === undefined ? undefined : before.generation
  })
  const remove = immediately((key: string): Named | undefined => {
    const before = sql.get.get(key)
    if (before === undefined) return undefined
    sql.remove.run(key)
    sql.add.run(-1, 'names')
    release(before)
    noteChange(key)
    return toNamed(before)
  })
  /** Gives up bytes but keeps the row, so that the name can heal. */
  const letGo = immediately((key: string, digest: string): Named | undefined => {
    const before = sql.get.get(key)
    if (before === undefined || before.digest !== digest || before.held !== 1) return undefined
    sql.letGo.run(key)
    release(before)
    noteChange(key)
    return toNamed(before)
  })
  /** Gives up damaged or vanished content: every name that has it lets go. Answers those names. */
  const discard = immediately((digest: string): readonly string[] => {
    const rows = sql.sharing.all(digest)
    for (const row of rows) {
      sql.letGo.run(row.name)
      noteChange(row.name)
    }
    const [one] = rows
    if (one !== undefined) sql.add.run(-one.size, 'bytes')
    unlink(digest)
    return rows.map((row) => row.name)
  })
  const nextGeneration = immediately((): number => {
    sql.add.run(1, 'generation')
    return total('generation')
  })

  return {
    get: (key: string): Named | undefined => {
      const row = sql.get.get(key)
      return row === undefined ? undefined : toNamed(row)
    },
    /** Gives bytes their name. Answers the generation that was replaced, or `no-content` when the bytes went meanwhile. */
    name,
    remove,
    letGo,
    discard,
    nextGeneration,
    /** Puts back a name that was found in cacache, unless a later generation is there. */
    restore: immediately((entry: Entry, generation: number, usedAt: number): boolean => {
      const before = sql.get.get(entry.name)
      if (generation > total('generation')) sql.setTotal.run(generation, 'generation')
      if (before !== undefined && before.generation >= generation) return false
      if (sql.named.get(entry.digest) === undefined) sql.add.run(entry.size, 'bytes')
      if (before === undefined) sql.add.run(1, 'names')
      sql.put.run(toRow(entry, generation, usedAt))
      if (before !== undefined && before.digest !== entry.digest) release(before)
      return true
    }),
    /** Whether names from before have all been read back. */
    complete: () => total('complete') === 1,
    setComplete: () => void sql.setTotal.run(1, 'complete'),
    amend: immediately((entry: Entry, changes: Amendment): void => {
      sql.amend.run({
        name: entry.name,
        digest: entry.digest,
        checkedAt: changes.checkedAt ?? entry.checkedAt,
        freshFor: changes.freshFor ?? entry.freshFor,
        etag: changes.etag ?? entry.etag ?? null,
        lastModified: changes.lastModified ?? entry.lastModified ?? null,
      })
      noteChange(entry.name)
    }),
    use: immediately((uses: ReadonlyMap<string, number>): void => {
      for (const [key, at] of uses) sql.use.run({ name: key, at })
    }),
    /** The least recently used rows whose bytes are held. */
    oldestHeld: (limit: number): readonly Named[] => sql.oldestHeld.all(limit).map(toNamed),
    /** The least recently used rows that nothing kept was made from. */
    oldestFree: (limit: number): readonly Named[] => sql.oldestFree.all(limit).map(toNamed),
    any: (limit: number): readonly string[] => sql.any.all(limit).map((row) => row.name),
    select: (selection: Selection): readonly Entry[] => {
      const { role, original, ownerKind, after, limit } = selection
      const rules = [
        role === undefined ? undefined : 'role = @role',
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
    bytes: () => total('bytes'),
    names: () => total('names'),
    roles: () => sql.roles.all(),
    failures: {
      get: (key: string): Failure | undefined => sql.failure.get(key),
      set: immediately((key: string, failure: Failure): void => {
        sql.fail.run({ name: key, ...failure })
        sql.trimFailures.run()
      }),
      clear: (key: string): void => void sql.unfail.run(key),
      clearAll: (): void => void db.exec('DELETE FROM failures'),
    },
    /** What other processes changed since the last call; nothing is read when nobody wrote. */
    changes: (): Changes => {
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
