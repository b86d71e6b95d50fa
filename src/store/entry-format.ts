/**
 * What the facts of an entry are called on disk, in the columns of the catalogue and in the entries of cacache's index.
 * Names in code may change; these may not: a directory of an earlier version has to open, and versions beside each
 * other read what the other wrote.
 */
import { isDigest } from '../model/digest.js'
import type { Entry, Role } from '../model/entry.js'
import { FACTS, factsText, readFacts } from '../model/entry-facts.js'

/** The name on disk of each fact that has a place of its own. */
export const DISK_NAMES = {
  key: 'name',
  role: 'role',
  digest: 'digest',
  size: 'size',
  type: 'type',
  width: 'width',
  height: 'height',
  storedAt: 'storedAt',
  validatedAt: 'checkedAt',
  freshnessLifetime: 'freshFor',
  staleWhileRevalidate: 'staleWhileRevalidate',
  staleIfError: 'staleIfError',
  isStored: 'held',
  etag: 'etag',
  lastModified: 'lastModified',
  sourceUrl: 'sourceUrl',
  original: 'original',
  madeFrom: 'madeFrom',
  recipe: 'recipe',
  ownerKind: 'ownerKind',
  ownerId: 'ownerId',
} as const satisfies Partial<Record<keyof Entry, string>>

/** A fact that has a place of its own on disk. */
export type PlacedFact = keyof typeof DISK_NAMES

/** All of them. */
export const PLACED = Object.keys(DISK_NAMES) as readonly PlacedFact[]

const ROLES: Readonly<Record<Role, string>> = {
  original: 'original',
  rendition: 'rendition',
  artwork: 'artwork',
}
const roleOf = (text: unknown): Role | undefined =>
  (Object.keys(ROLES) as Role[]).find((role) => ROLES[role] === text)

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''

/** What each fact must be for an entry to be read back. */
const RULES: Readonly<Record<PlacedFact, (value: unknown) => boolean>> = (() => {
  const number = (value: unknown): boolean => Number.isSafeInteger(value)
  const optional =
    (rule: (value: unknown) => boolean) =>
    (value: unknown): boolean =>
      value === undefined || rule(value)
  const string = (value: unknown): boolean => typeof value === 'string'
  return {
    key: isText,
    type: isText,
    role: (value) => roleOf(value) !== undefined,
    digest: isDigest,
    size: number,
    width: number,
    height: number,
    storedAt: number,
    validatedAt: number,
    freshnessLifetime: number,
    isStored: () => true,
    staleWhileRevalidate: optional(number),
    staleIfError: optional(number),
    etag: optional(string),
    lastModified: optional(string),
    sourceUrl: optional(string),
    original: optional(string),
    recipe: optional(string),
    ownerKind: optional(string),
    ownerId: optional(string),
    madeFrom: optional(isDigest),
  }
})()

/** An entry as cacache's index keeps it. */
export function toIndex(entry: Entry): Record<string, unknown> {
  const facts = factsText(entry)
  return {
    ...Object.fromEntries(
      PLACED.map((fact) => [DISK_NAMES[fact], fact === 'role' ? ROLES[entry.role] : entry[fact]]),
    ),
    ...(facts !== undefined && { [FACTS]: facts }),
  }
}

/** The entry that cacache's index keeps, or undefined where a fact that a row needs is missing or wrong. */
export function fromIndex(value: unknown): Entry | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const found = new Map<string, unknown>(Object.entries(value))
  const facts = new Map(PLACED.map((fact) => [fact, found.get(DISK_NAMES[fact])] as const))
  if (!PLACED.every((fact) => RULES[fact](facts.get(fact)))) return undefined
  const digest = String(facts.get('digest'))
  const entry = { ...Object.fromEntries(facts), isStored: facts.get('isStored') !== false }
  // Each fact has been held against its rule.
  return {
    ...(entry as unknown as Entry),
    role: roleOf(facts.get('role')) ?? 'original',
    ...readFacts(found.get(FACTS), digest),
  }
}
