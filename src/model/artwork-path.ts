/**
 * The artwork path of an entity, `artists/ab/abc123.webp`: a second name for bytes already stored. It is
 * made from a template and an id, and nothing that an id says can leave the template.
 */
import { createHash } from 'node:crypto'
import type { EntityKind } from './entity.js'
import { ArtworkError } from './failure.js'

/** An id as apps have them: text or an integer. */
export type EntityId = string | number | bigint

const PLAIN_ID = /^[A-Za-z0-9_-]{1,200}$/
const LONGEST_SLUG = 120

/** The id as text. @throws ArtworkError `invalid` (400) for the empty id, dots, and anything shaped like a path */
export function entityIdText(id: EntityId): string {
  const text = typeof id === 'string' ? id : Number.isInteger(id) || typeof id === 'bigint' ? String(id) : ''
  const shapedLikePath = text.split(/[/\\]/).some((part) => /^\.*$/.test(part.trim())) || /\p{Cc}/u.test(text)
  if (text === '' || text.length > 1000 || shapedLikePath)
    throw new ArtworkError('invalid', 'entity id is not valid')
  return text
}

/** Whether the id stands in a path as it is. Any other is slugged. */
const isPlainId = (text: string): boolean => PLAIN_ID.test(text)

/** `Just Chatting` → `just_chatting`: letters and digits of the id, lower case, without accents. May be empty. */
export function slugOf(text: string): string {
  const bare = text.normalize('NFKD').replace(/\p{Mark}/gu, '')
  return bare
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .slice(0, LONGEST_SLUG)
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12)

/**
 * The paths an entity may have, the first choice first. A plain id has one. Other text has its slug, and,
 * where another entity holds that already, the slug with a hash of the whole id.
 * @throws ArtworkError `invalid` (400) for a bad id, or for a template name that `params` lacks
 */
export function artworkPaths(
  kind: EntityKind,
  id: EntityId,
  params: Readonly<Record<string, EntityId>> = {},
): readonly [string, ...string[]] {
  const text = entityIdText(id)
  const slugged = !isPlainId(text) || kind.path.includes('{slug}')
  if (!slugged) return [fill(kind, text, params)]
  const slug = slugOf(text)
  const hashed = `${slug === '' ? 'id' : slug}_${hashOf(text)}`
  return slug === '' || slug.length >= LONGEST_SLUG
    ? [fill(kind, hashed, params)]
    : [fill(kind, slug, params), fill(kind, hashed, params)]
}

function fill(kind: EntityKind, name: string, params: Readonly<Record<string, EntityId>>): string {
  const known: Record<string, string> = { plural: kind.plural, shard: name.slice(0, 2), id: name, slug: name }
  return kind.path.replace(/\{([a-z_]+)\}/g, (_all, key: string) => known[key] ?? param(key, params))
}

function param(key: string, params: Readonly<Record<string, EntityId>>): string {
  const value = params[key]
  if (value === undefined) throw new ArtworkError('invalid', `the artwork path needs the parameter ${key}`)
  const text = entityIdText(value)
  return isPlainId(text) ? text : slugOf(text) || `id_${hashOf(text)}`
}

/** Of an entity's fields, those that its artwork path needs, as text. */
export const pathParams = (
  kind: EntityKind | undefined,
  params: Readonly<Record<string, EntityId>>,
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(params)
      .filter(([name]) => kind?.params.includes(name))
      .map(([name, value]) => [name, String(value)]),
  )

const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/

/**
 * An artwork path from text: relative segments of plain names with an extension, or undefined. Accepts the
 * segments of a URL or a path an app stored earlier.
 */
export function readArtworkPath(given: string | readonly string[]): string | undefined {
  const segments = typeof given === 'string' ? given.split('/') : given
  const sound =
    segments.length >= 1 && segments.length <= 8 && segments.every((segment) => SEGMENT.test(segment))
  return sound ? segments.join('/') : undefined
}
