/** Entries as rows of the catalogue: SQLite knows null where we have undefined, and blobs where we have hex. */
import type { Entry } from '../model/entry.js'

/** A row of the table `names`. */
export interface Row extends Omit<Entry, 'held' | 'digest' | 'madeFrom'>, Standing {
  readonly held: number
  readonly digest: Buffer
  readonly madeFrom: Buffer | null
}

/** What the store alone knows of a name. */
export interface Standing {
  /** Which change of the store put it there; a later one is larger. */
  readonly generation: number
  /** Which of its two keys in cacache has its index entry. */
  readonly slot: number
  /** What that entry costs on disk, bytes. */
  readonly indexBytes: number
  /** Last use, ms since the epoch. */
  readonly usedAt: number
  /** How many names were made from this one. */
  readonly dependents: number
}

/** A name as it stands in the catalogue. */
export interface Named extends Standing {
  readonly entry: Entry
}

const OPTIONAL = [
  'staleWhileRevalidate',
  'staleIfError',
  'etag',
  'lastModified',
  'sourceUrl',
  'original',
  'recipe',
  'ownerKind',
  'ownerId',
] as const satisfies readonly (keyof Entry)[]

/** The columns that a change of a name writes. */
export const WRITTEN = [
  'name',
  'role',
  'digest',
  'size',
  'type',
  'width',
  'height',
  'storedAt',
  'checkedAt',
  'freshFor',
  'held',
  'madeFrom',
  ...OPTIONAL,
  'generation',
  'slot',
  'indexBytes',
  'usedAt',
] as const

/** A digest as SQLite keeps it. */
export const toBlob = (digest: string): Buffer => Buffer.from(digest, 'hex')

/** A row as it is used. */
export function toNamed(row: Row): Named {
  const { generation, slot, indexBytes, usedAt, dependents, digest, madeFrom, held } = row
  const entry: Entry = Object.freeze({
    name: row.name,
    role: row.role,
    digest: digest.toString('hex'),
    size: row.size,
    type: row.type,
    width: row.width,
    height: row.height,
    storedAt: row.storedAt,
    checkedAt: row.checkedAt,
    freshFor: row.freshFor,
    staleWhileRevalidate: row.staleWhileRevalidate ?? undefined,
    staleIfError: row.staleIfError ?? undefined,
    held: held === 1,
    etag: row.etag ?? undefined,
    lastModified: row.lastModified ?? undefined,
    sourceUrl: row.sourceUrl ?? undefined,
    original: row.original ?? undefined,
    madeFrom: madeFrom?.toString('hex'),
    recipe: row.recipe ?? undefined,
    ownerKind: row.ownerKind ?? undefined,
    ownerId: row.ownerId ?? undefined,
  })
  return { entry, generation, slot, indexBytes, usedAt, dependents }
}

/** The values of a row as SQLite binds them. */
export function toRow(
  entry: Entry,
  standing: Omit<Standing, 'dependents'>,
): Record<string, string | number | Buffer | null> {
  return {
    name: entry.name,
    role: entry.role,
    digest: toBlob(entry.digest),
    size: entry.size,
    type: entry.type,
    width: entry.width,
    height: entry.height,
    storedAt: entry.storedAt,
    checkedAt: entry.checkedAt,
    freshFor: entry.freshFor,
    held: entry.held ? 1 : 0,
    madeFrom: entry.madeFrom === undefined ? null : toBlob(entry.madeFrom),
    ...Object.fromEntries(OPTIONAL.map((key) => [key, entry[key] ?? null])),
    generation: standing.generation,
    slot: standing.slot,
    indexBytes: standing.indexBytes,
    usedAt: standing.usedAt,
  }
}
