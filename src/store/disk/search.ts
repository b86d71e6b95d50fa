/**
 * Looking through all names, for who manages them: any rule, any order. Everything, or all of a role that is not rare,
 * comes in the order of an index. For any other rule the table is gone through a piece at a time, and the process
 * breathes in between.
 */
import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { type Database, keep, type Statement } from '../../database/sqlite.js'
import type { Role } from '../../model/entry.js'
import type { SearchPage, SearchQuery } from '../ports.js'
import { type Row, toNamed } from './rows.js'

/** Ids at a time: a few ms. */
const PIECE = 20_000
const COLUMN = { name: 'name', used: 'usedAt', stored: 'storedAt', size: 'size' } as const

interface Hit {
  readonly id: number
  readonly value: string | number
}

/** The place after which a page begins; undefined for one that is none. */
function cursorOf(text: string | undefined): Hit | undefined {
  try {
    const [value, id]: unknown[] = JSON.parse(Buffer.from(text ?? '', 'base64url').toString('utf8'))
    return (typeof value === 'string' || typeof value === 'number') && typeof id === 'number'
      ? { value, id }
      : undefined
  } catch {
    return undefined
  }
}

/** Matches that are brought whole, a piece: after more, they are counted, and only the first are brought. */
const FEW = 2000

/** A plain id stands in its picture's name: only what can be none is looked for among ids too. Each column costs. */
const textRule = (text: string): string =>
  ['name', 'sourceUrl', ...(/[^a-z0-9_./-]/.test(text) ? ['ownerId'] : [])]
    .map((column) => `${column} LIKE @like ESCAPE '\\'`)
    .join(' OR ')
    .replace(/^.*$/, '($&)')

/** What a query says of rows, as SQL. */
function rulesOf({ text, role, kind, held }: SearchQuery): readonly string[] {
  return [
    role === undefined ? undefined : 'role = @role',
    kind === undefined ? undefined : "(name LIKE @prefix ESCAPE '\\' OR ownerKind = @kind)",
    held === undefined ? undefined : 'held = @held',
    text === undefined || text === '' ? undefined : textRule(text),
  ].filter((rule) => rule !== undefined)
}

/** Makes the search of a catalogue. @param total how many names there are, of a role or of all */
export function createSearch(db: Database, total: (role: Role | undefined) => number) {
  const sql = keep({
    after: db.prepare<[number], { id: number }>('SELECT id FROM names WHERE id > ? ORDER BY id LIMIT 1'),
    row: db.prepare<[number], Row>('SELECT * FROM names WHERE id = ?'),
    hits: new Map<string, Statement<[object], Hit>>(),
    counts: new Map<string, Statement<[object], { count: number }>>(),
  })
  const prepared = <T>(known: Map<string, Statement<[object], T>>, text: string): Statement<[object], T> => {
    const found = known.get(text) ?? db.prepare<[object], T>(text)
    known.set(text, found)
    return found
  }
  return async (query: SearchQuery, isCurrent: () => boolean): Promise<SearchPage> => {
    const { text, role, kind, held, sort, limit } = query
    const after = cursorOf(query.after)
    const column = COLUMN[sort]
    const isUp = sort === 'name'
    const rules = rulesOf(query)
    const beyond = after === undefined ? '' : `(${column}, id) ${isUp ? '>' : '<'} (@afterValue, @afterId)`
    const order = isUp ? `${column}, id` : `${column} DESC, id DESC`
    const hitsOf = (where: readonly string[]) => {
      const all = [...where, beyond].filter((rule) => rule !== '').join(' AND ')
      return prepared(
        sql.hits,
        `SELECT id, ${column} AS value FROM names ${all && `WHERE ${all}`} ORDER BY ${order} LIMIT @limit`,
      )
    }
    const plain = (given: string): string => given.replace(/[\\%_]/g, '\\$&')
    const asked = {
      role,
      kind,
      held: held === undefined ? undefined : Number(held),
      prefix: `images/${plain(kind ?? '')}/%`,
      like: `%${plain(text ?? '')}%`,
      afterValue: after?.value,
      afterId: after?.id,
      limit: limit + 1,
    }
    const isBefore = (a: Hit, b: Hit): number => {
      const order = a.value < b.value ? -1 : a.value > b.value ? 1 : a.id - b.id
      return isUp ? order : -order
    }
    const isBeyond = (hit: Hit): boolean => after === undefined || isBefore(after, hit) < 0
    const first = (hits: readonly Hit[]): Hit[] => [...hits].sort(isBefore).slice(0, limit + 1)

    /** In the order of an index: everything, or all of a role. */
    const ordered = (): { best: Hit[]; count: number } => {
      const rule = role === undefined ? [] : ['role = @role']
      // What is held and what is not have an index each of their last use.
      const parts = sort === 'used' ? [['held = 1'], ['held = 0']] : [[]]
      return {
        best: first(parts.flatMap((part) => hitsOf([...part, ...rule]).all(asked))),
        count: total(role),
      }
    }
    /** By going through everything. */
    const scanned = async (): Promise<{ best: Hit[]; count: number }> => {
      const where = ['id > @from', 'id <= @to', ...rules]
      const some = prepared(
        sql.hits,
        `SELECT id, ${column} AS value FROM names WHERE ${where.join(' AND ')} LIMIT ${FEW + 1}`,
      )
      const counts = prepared(sql.counts, `SELECT count(*) AS count FROM names WHERE ${where.join(' AND ')}`)
      let best: Hit[] = []
      let count = 0
      for (let from = sql.after.get(0)?.id; from !== undefined && isCurrent(); await yieldToEventLoop()) {
        const to = from + PIECE
        const piece = { ...asked, from: from - 1, to }
        const few = some.all(piece)
        const isMany = few.length > FEW
        count += isMany ? (counts.get(piece)?.count ?? 0) : few.length
        const found = isMany ? hitsOf(where).all(piece) : few.filter(isBeyond)
        if (found.length > 0) best = first([...best, ...found])
        from = sql.after.get(to)?.id
      }
      return { best, count }
    }
    const isPlain = rules.length === (role === undefined ? 0 : 1)
    const { best, count } = isPlain ? ordered() : await scanned()
    const shown = best.slice(0, limit)
    const last = shown.at(-1)
    const entries = shown.flatMap(({ id }) => {
      const row = sql.row.get(id)
      return row === undefined ? [] : [{ ...toNamed(row).entry, lastUsed: row.usedAt }]
    })
    const next =
      best.length > limit && last !== undefined
        ? Buffer.from(JSON.stringify([last.value, last.id])).toString('base64url')
        : undefined
    return { entries, total: count, next }
  }
}
