/** The SQL of entries: rows, and every total and count that follows from them. */
import { type Database, immediate, keep, type Statement } from '../../database/sqlite.js'
import type { Entry } from '../../model/entry.js'
import { factsText } from '../../model/entry-facts.js'
import type { KindTotals, Selection } from '../ports.js'
import { type Row, type StoredEntry, toBlob, toNamed, toRow, WRITTEN } from './rows.js'
import type { History } from './small-tables.js'
import type { Totals } from './totals.js'

/** Content that a row had, by its digest. */
export type ContentOf = Pick<Row, 'digest' | 'size'>

/** What {@link createRows} works with. */
export interface RowParts {
  readonly totals: Totals
  readonly history: Pick<History, 'add' | 'covers'>
  /** Notes a change for the other processes. */
  readonly noteChange: (name: string) => void
}

/** See {@link createRows}. */
export type Rows = ReturnType<typeof createRows>

/** Writes rows and keeps the totals right; its verbs belong into a transaction. */
export function createRows(db: Database, { totals, history, noteChange }: RowParts) {
  const sql = keep({
    get: db.prepare<[string], Row>('SELECT * FROM names WHERE name = ?'),
    put: db.prepare(`INSERT INTO names (${WRITTEN.join(', ')}, dependents)
      VALUES (${WRITTEN.map((column) => `@${column}`).join(', ')},
        (SELECT count(*) FROM names WHERE original = @name))
      ON CONFLICT (name) DO UPDATE SET ${WRITTEN.map((column) => `${column} = excluded.${column}`).join(', ')}`),
    remove: db.prepare<[string]>('DELETE FROM names WHERE name = ?'),
    unstore: db.prepare<[string]>('UPDATE names SET held = 0, indexBytes = 0 WHERE name = ?'),
    depend: db.prepare<[number, string]>('UPDATE names SET dependents = dependents + ? WHERE name = ?'),
    named: db.prepare<[Buffer], { one: 1 }>(
      'SELECT 1 AS one FROM names WHERE digest = ? AND held = 1 LIMIT 1',
    ),
    sharing: db.prepare<[Buffer], Row>('SELECT * FROM names WHERE digest = ? AND held = 1'),
  })
  const isNamed = (digest: Buffer): boolean => sql.named.get(digest) !== undefined
  /** After a row lost its digest: the content that no row has any more, undefined where one still has it. */
  const unreferenced = (row: Row): ContentOf | undefined => {
    if (row.held !== 1 || isNamed(row.digest)) return undefined
    totals.add('bytes', -row.size)
    return row
  }
  const remove = (row: Row): ContentOf | undefined => {
    sql.remove.run(row.name)
    totals.add('names', -1)
    totals.add(row.role, -1)
    totals.add('indexBytes', -row.indexBytes)
    if (row.original !== null && row.original !== undefined) sql.depend.run(-1, row.original)
    noteChange(row.name)
    if (history.covers(row.role)) history.add(row.name, 'removed')
    return unreferenced(row)
  }
  return {
    get: (name: string): Row | undefined => sql.get.get(name),
    /** Whether a stored entry has a content. */
    isNamed,
    /** The rows of a content. */
    sharing: (digest: string): Row[] => sql.sharing.all(toBlob(digest)),
    /** Writes a row of an entry; one that is not stored takes no bytes. Answers what was there before. */
    put: (entry: Entry, state: Parameters<typeof toRow>[1]): Row | undefined => {
      const before = sql.get.get(entry.key)
      if (entry.isStored && !isNamed(toBlob(entry.digest))) totals.add('bytes', entry.size)
      if (before === undefined) totals.add('names', 1)
      if (before?.role !== entry.role) {
        totals.add(entry.role, 1)
        if (before !== undefined) totals.add(before.role, -1)
      }
      totals.add('indexBytes', state.indexBytes - (before?.indexBytes ?? 0))
      sql.put.run(toRow(entry, state))
      const origin = before?.original ?? undefined
      if (origin !== entry.original) {
        if (origin !== undefined) sql.depend.run(-1, origin)
        if (entry.original !== undefined) sql.depend.run(1, entry.original)
      }
      return before
    },
    unreferenced,
    remove,
    /** Evicts bytes. An entity's image keeps its row, so that it can be repaired, and so does what others were made from. */
    evict: (row: Row): ContentOf | undefined => {
      if (row.role !== 'artwork' && row.dependents === 0) return remove(row)
      if (row.held === 1) history.add(row.name, 'evicted')
      sql.unstore.run(row.name)
      totals.add('indexBytes', -row.indexBytes)
      noteChange(row.name)
      return unreferenced(row)
    },
  }
}

/** Reads entries, and changes facts that no other table follows. */
export function createEntries(db: Database, rows: Rows, { totals, noteChange }: Omit<RowParts, 'history'>) {
  const transaction = immediate(db)
  const sql = keep({
    update: db.prepare(`UPDATE names SET checkedAt = @checkedAt, freshFor = @freshFor, etag = @etag,
      lastModified = @lastModified, staleWhileRevalidate = @staleWhileRevalidate, staleIfError = @staleIfError, facts = @facts
      WHERE name = @name AND digest = @digest`),
    setIndexBytes: db.prepare<[number, string]>('UPDATE names SET indexBytes = ? WHERE name = ?'),
    digestsAfter: db.prepare<
      [Buffer, number],
      { digest: Buffer; size: number }
    >(`SELECT digest, size FROM names
      WHERE held = 1 AND digest > ? GROUP BY digest ORDER BY digest LIMIT ?`),
    use: db.prepare<[number, string, number]>('UPDATE names SET usedAt = ? WHERE name = ? AND usedAt < ?'),
    countByKind: db.prepare<[], KindTotals>(`SELECT ownerKind AS kind,
      count(*) AS count, sum(size) AS bytes FROM names WHERE ownerKind IS NOT NULL AND held = 1 GROUP BY ownerKind`),
    selections: new Map<
      string,
      { readonly any: Statement<[object], { one: 1 }>; readonly rows: Statement<[object], Row> }
    >(),
  })
  return {
    get: (name: string): StoredEntry | undefined => {
      const row = rows.get(name)
      return row === undefined ? undefined : toNamed(row)
    },
    updateAll: transaction((entries: Iterable<Entry>): void => {
      for (const entry of entries) {
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
        sql.update.run({ name, digest: toBlob(entry.digest), ...facts })
        noteChange(name)
      }
    }),
    /** Writes last uses. */
    use: transaction((uses: Iterable<readonly [name: string, at: number]>): void => {
      for (const [name, at] of uses) sql.use.run(at, name, at)
    }),
    select: (selection: Selection): readonly Entry[] => {
      const { role, original, notMadeFrom, ownerKind, after, limit } = selection
      const rules = [
        role === undefined ? undefined : 'role = @role',
        role === 'artwork' ? 'ownerKind IS NOT NULL' : undefined,
        original === undefined ? undefined : 'original = @original',
        notMadeFrom === undefined ? undefined : 'madeFrom IS NOT @notMadeFrom',
        ownerKind === undefined ? undefined : 'ownerKind = @ownerKind',
        after === undefined ? undefined : 'name > @after',
      ].filter((rule) => rule !== undefined)
      const where = rules.length === 0 ? '' : `WHERE ${rules.join(' AND ')}`
      const statements = sql.selections.get(where) ?? {
        any: db.prepare<[object], { one: 1 }>(`SELECT 1 AS one FROM names ${where} LIMIT 1`),
        rows: db.prepare<[object], Row>(`SELECT * FROM names ${where} ORDER BY name LIMIT @limit`),
      }
      sql.selections.set(where, statements)
      const state = notMadeFrom === undefined ? undefined : toBlob(notMadeFrom)
      const values = { role, original, notMadeFrom: state, ownerKind, after, limit }
      // Of an original that has not changed there is mostly nothing to make again; to find that out costs less than a list in order.
      if (original !== undefined && statements.any.get(values) === undefined) return []
      return statements.rows.all(values).map((row) => toNamed(row).entry)
    },
    countByKind: (): readonly KindTotals[] => sql.countByKind.all(),
    /** The entries of a content. */
    sharing: (digest: string): readonly StoredEntry[] => rows.sharing(digest).map(toNamed),
    /** Stored contents after this digest ('' for the first), in their order. */
    digestsAfter: (digest: string, limit: number): readonly { digest: string; size: number }[] =>
      sql.digestsAfter
        .all(toBlob(digest), limit)
        .map((row) => ({ digest: row.digest.toString('hex'), size: row.size })),
    /** Records what an index entry costs that was written anew. */
    setIndexBytes: transaction((name: string, indexBytes: number): void => {
      const before = rows.get(name)
      if (before === undefined) return
      totals.add('indexBytes', indexBytes - before.indexBytes)
      sql.setIndexBytes.run(indexBytes, name)
    }),
  }
}
