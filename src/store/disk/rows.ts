/** Entries as rows of the catalogue: SQLite knows null where we have undefined, and blobs where we have hex. */
import type { Entry, Role } from '../../model/entry.js'
import { FACTS, factsText, readFacts } from '../../model/entry-facts.js'
import { DISK_NAMES, PLACED } from '../entry-format.js'

/** A row of the table `names`, its columns called as `disk-names` says. */
export interface Row extends RowState {
  readonly name: string
  readonly role: Role
  readonly digest: Buffer
  readonly size: number
  readonly type: string
  readonly width: number
  readonly height: number
  readonly storedAt: number
  readonly checkedAt: number
  readonly freshFor: number
  readonly staleWhileRevalidate: number | null
  readonly staleIfError: number | null
  readonly held: number
  readonly etag: string | null
  readonly lastModified: string | null
  readonly sourceUrl: string | null
  readonly original: string | null
  readonly madeFrom: Buffer | null
  readonly recipe: string | null
  readonly ownerKind: string | null
  readonly ownerId: string | null
  readonly facts: string | null
}

/** What the store alone knows of a name. */
export interface RowState {
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
export interface StoredEntry extends RowState {
  readonly entry: Entry
}

/** The columns that a change of a name writes. */
export const WRITTEN: readonly string[] = [
  ...PLACED.map((fact) => DISK_NAMES[fact]),
  FACTS,
  'generation',
  'slot',
  'indexBytes',
  'usedAt',
]

/** A digest as SQLite keeps it. */
export const toBlob = (digest: string): Buffer => Buffer.from(digest, 'hex')

/** A row as it is used. */
export function toNamed(row: Row): StoredEntry {
  const { generation, slot, indexBytes, usedAt, dependents, digest, madeFrom, held } = row
  const entry: Entry = Object.freeze({
    key: row.name,
    role: row.role,
    digest: digest.toString('hex'),
    size: row.size,
    type: row.type,
    width: row.width,
    height: row.height,
    storedAt: row.storedAt,
    validatedAt: row.checkedAt,
    freshnessLifetime: row.freshFor,
    staleWhileRevalidate: row.staleWhileRevalidate ?? undefined,
    staleIfError: row.staleIfError ?? undefined,
    isStored: held === 1,
    etag: row.etag ?? undefined,
    lastModified: row.lastModified ?? undefined,
    sourceUrl: row.sourceUrl ?? undefined,
    original: row.original ?? undefined,
    madeFrom: madeFrom?.toString('hex'),
    recipe: row.recipe ?? undefined,
    ownerKind: row.ownerKind ?? undefined,
    ownerId: row.ownerId ?? undefined,
    ...(row.facts === null ? {} : readFacts(row.facts, digest.toString('hex'))),
  })
  return { entry, generation, slot, indexBytes, usedAt, dependents }
}

/** The values of a row as SQLite binds them. */
export function toRow(
  entry: Entry,
  standing: Omit<RowState, 'dependents'>,
): Record<string, string | number | Buffer | null> {
  const placed = PLACED.map((fact) => {
    const value = entry[fact]
    if (typeof value === 'boolean') return [DISK_NAMES[fact], Number(value)] as const
    const isBlob = fact === 'digest' || fact === 'madeFrom'
    return [
      DISK_NAMES[fact],
      isBlob && value !== undefined ? toBlob(String(value)) : (value ?? null),
    ] as const
  })
  return {
    ...Object.fromEntries(placed),
    [FACTS]: factsText(entry) ?? null,
    generation: standing.generation,
    slot: standing.slot,
    indexBytes: standing.indexBytes,
    usedAt: standing.usedAt,
  }
}
