/** How express-artwork reaches records in PostgreSQL: a complete repository over tables that an app has already. */
import { ArtworkError, type EntityLike, type Repository } from 'express-artwork'
import type { Pool, QueryResult } from 'pg'

/** Where the pictures of a kind are noted. Names are as the database has them, letter by letter. */
export interface PicturedTable {
  /** A table or a view: `artists`, `music.artists`. */
  readonly table: string
  /** The column of the id: unique, and text, an integer or a uuid. @default 'id' */
  readonly id?: string
  /** The column of the source URL. */
  readonly url: string
  /** The column of the artwork path. */
  readonly path: string
  /** Columns for further facts of a picture, where there are any. The digest is text. */
  readonly width?: string
  readonly height?: string
  readonly digest?: string
}

/** How patient the repository is. */
export interface PostgresOptions {
  /** How long a query may take, ms. Waiting for a connection is bounded by the pool's `connectionTimeoutMillis`. @default 10 s */
  readonly timeout?: number
}

const PAGE = 100
const TIMEOUT = 10_000
/** What a row's id is called as text, beside its own columns. */
const KEY = 'artwork.key'
/** Types of columns by their number: int8, int2 and int4; uuid. */
const INTEGERS: ReadonlySet<number> = new Set([20, 21, 23])
const UUID = 2950

const NAME = /^[A-Za-z_][A-Za-z0-9_$]{0,62}$/
const WHOLE = /^(?:0|-?[1-9][0-9]{0,18})$/
const UUID_TEXT = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

type Row = Readonly<Record<string, unknown>>

/** A table as queries write it: every name quoted. */
interface Quoted {
  readonly named: PicturedTable
  readonly table: string
  readonly id: string
  /** The columns that are written, and what of a picture goes there. */
  readonly written: readonly (readonly [column: string, field: Written])[]
}
type Written = 'imageUrl' | 'imagePath' | 'width' | 'height' | 'digest'

/** Quotes the names of a kind. @throws TypeError naming the kind, the rule and the value */
function quote(kind: string, named: PicturedTable): Quoted {
  const name = (field: keyof PicturedTable, value: unknown): string => {
    if (typeof value === 'string' && NAME.test(value)) return `"${value}"`
    throw new TypeError(
      `kinds.${kind}.${field} must be a name of letters, digits, _ and $, got ${JSON.stringify(value)}`,
    )
  }
  const { table, id = 'id', url, path, width, height, digest } = named
  const parts = typeof table === 'string' && table.split('.').length === 2 ? table.split('.') : [table]
  return {
    named,
    table: parts.map((part) => name('table', part)).join('.'),
    id: name('id', id),
    written: [
      [name('url', url), 'imageUrl'],
      [name('path', path), 'imagePath'],
      ...(width === undefined ? [] : [[name('width', width), 'width'] as const]),
      ...(height === undefined ? [] : [[name('height', height), 'height'] as const]),
      ...(digest === undefined ? [] : [[name('digest', digest), 'digest'] as const]),
    ],
  }
}

/** An id as a column of this type has it, or undefined where it can have no such id. */
function idFor(type: number, id: string): string | undefined {
  if (INTEGERS.has(type))
    return WHOLE.test(id) && BigInt.asIntN(64, BigInt(id)) === BigInt(id) ? id : undefined
  if (type === UUID) return UUID_TEXT.test(id.toLowerCase()) ? id.toLowerCase() : undefined
  return id.includes('\0') ? undefined : id
}

/** What stands behind a parameter, so that it is compared as its column is ordered, by the column's index. */
const castFor = (type: number): string => (INTEGERS.has(type) ? '::int8' : type === UUID ? '::uuid' : '')

/** Heard, and left: the pool has let go of that client, and the next query says what is wrong. */
const letGo = (): void => {}

/** What went wrong, as a job or a log may tell it; the rest is its cause. */
function troubled(verb: string, kind: string, cause: unknown): ArtworkError {
  const code: unknown = typeof cause === 'object' && cause !== null ? Reflect.get(cause, 'code') : undefined
  const why = typeof code === 'string' ? ` (${code})` : ''
  return new ArtworkError('unavailable', `PostgreSQL did not answer: ${verb} of ${kind}${why}`, { cause })
}

/**
 * The repository over tables in PostgreSQL. The pool stays the app's own, who closes it. A kind without a table
 * lists nothing, and nothing of it is an orphan.
 * @throws TypeError for a name that is none
 */
export function createPostgresRepository(
  pool: Pool,
  kinds: Readonly<Record<string, PicturedTable>>,
  { timeout = TIMEOUT }: PostgresOptions = {},
): Repository {
  const tables = new Map(Object.entries(kinds).map(([kind, named]) => [kind, quote(kind, named)]))
  const types = new Map<string, Promise<number>>()
  // A client that breaks while it is idle would end the process.
  if (!pool.listeners('error').includes(letGo)) pool.on('error', letGo)

  const ask = async (verb: string, kind: string, text: string, values: readonly unknown[] = []) => {
    try {
      const query = { text, values: [...values], query_timeout: timeout }
      const answer: QueryResult<Row> = await pool.query(query)
      return answer
    } catch (error) {
      types.delete(kind)
      throw troubled(verb, kind, error)
    }
  }
  /** The type of a kind's id: asked for once, and again after a failure. */
  const typeOf = (kind: string, { table, id }: Quoted): Promise<number> => {
    const known = types.get(kind)
    if (known !== undefined) return known
    const asked = ask('the type of id', kind, `SELECT ${id} FROM ${table} LIMIT 0`).then(
      ({ fields }) => fields[0]?.dataTypeID ?? 0,
    )
    types.set(kind, asked)
    return asked
  }
  /** A row with its id as the toolkit reads it, and its URL and path under names that it knows. */
  const entityOf = (kind: string, type: number, { named }: Quoted, all: Row): EntityLike => {
    const { [KEY]: key, ...row } = all
    const text = String(key)
    const id = INTEGERS.has(type) && Number.isSafeInteger(Number(text)) ? Number(text) : text
    return { ...row, id, entity_type: kind, image_url: row[named.url], image_path: row[named.path] }
  }
  const rowsOf = ({ table, id }: Quoted, rest: string): string =>
    `SELECT t.*, t.${id}::text AS "${KEY}" FROM ${table} AS t WHERE t.${id} ${rest}`

  return {
    list: async (kind, cursor = '') => {
      const quoted = tables.get(kind)
      if (quoted === undefined) return { entities: [] }
      const type = await typeOf(kind, quoted)
      const after = idFor(type, cursor)
      if (cursor !== '' && after === undefined) throw new ArtworkError('invalid', 'there is no such page')
      const [from, values] = cursor === '' ? ['IS NOT NULL', []] : [`> $1${castFor(type)}`, [after]]
      const text = rowsOf(quoted, `${from} ORDER BY t.${quoted.id} LIMIT ${PAGE}`)
      const { rows } = await ask('a page', kind, text, values)
      const entities = rows.map((row) => entityOf(kind, type, quoted, row))
      const last = rows.at(-1)
      return rows.length < PAGE || last === undefined ? { entities } : { entities, next: String(last[KEY]) }
    },
    exists: async (kind, ids) => {
      const quoted = tables.get(kind)
      if (quoted === undefined) return new Set(ids)
      const type = await typeOf(kind, quoted)
      const wanted = ids.flatMap((id) => idFor(type, id) ?? [])
      if (wanted.length === 0) return new Set()
      const { table, id } = quoted
      const array = castFor(type) === '' ? '' : `${castFor(type)}[]`
      const text = `SELECT ${id}::text AS "${KEY}" FROM ${table} WHERE ${id} = ANY($1${array})`
      const { rows } = await ask('what exists', kind, text, [[...new Set(wanted)]])
      const living = new Set(rows.map((row) => row[KEY]))
      return new Set(ids.filter((one) => living.has(idFor(type, one))))
    },
    find: async (kind, id) => {
      const quoted = tables.get(kind)
      if (quoted === undefined) return undefined
      const type = await typeOf(kind, quoted)
      const wanted = idFor(type, id)
      if (wanted === undefined) return undefined
      const { rows } = await ask('a record', kind, rowsOf(quoted, `= $1${castFor(type)}`), [wanted])
      return rows[0] && entityOf(kind, type, quoted, rows[0])
    },
    saveImage: async (kind, id, image) => {
      const quoted = tables.get(kind)
      if (quoted === undefined) return false
      const type = await typeOf(kind, quoted)
      const wanted = idFor(type, id)
      if (wanted === undefined) return false
      const set = quoted.written.map(([column], index) => `${column} = $${index + 2}`).join(', ')
      // A URL that the app has changed meanwhile is not taken back: this picture is of the one before.
      const [[url] = []] = quoted.written
      const text = `UPDATE ${quoted.table} SET ${set} WHERE ${quoted.id} = $1${castFor(type)} AND (${url} IS NULL OR ${url} = $2)`
      const values = quoted.written.map(([, field]) => image[field])
      const { rowCount } = await ask('the update', kind, text, [wanted, ...values])
      return (rowCount ?? 0) > 0
    },
  }
}
