/** Texts and ids as apps and template engines hand them over, by one rule for every door they come in by. */
import type { EntityId } from './artwork-path.js'

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

/**
 * A text: a string, a `String` (what Nunjucks marks as safe is one), or a `URL`. White space at its ends is no part of
 * it. Undefined for anything else, and for the empty text.
 */
export const textOf = (value: unknown): string | undefined => rawText(value)?.trim()

/** A text as it came; undefined for anything else, and for what is white space only. */
function rawText(value: unknown): string | undefined {
  const text = typeof value === 'string' ? value : textForm(value)
  return text.trim() === '' ? undefined : text
}
/** What an object says that it is in words; '' for one that throws instead, or that is no text. */
function textForm(value: unknown): string {
  try {
    return value instanceof String || value instanceof URL ? String(value) : ''
  } catch {
    return ''
  }
}

/**
 * An id: a text, an integer, or an object of a database driver that has a text form of its own. Undefined for anything
 * else. White space at its ends is part of it, as it is to a database: trimmed, it would be the id of no row.
 */
export function idOf(value: unknown): EntityId | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value
  const text = rawText(value)
  if (text !== undefined || !isObject(value)) return text
  try {
    const isPlain = value.toString === Object.prototype.toString || value.toString === undefined
    if (isPlain || value instanceof Date || Symbol.iterator in value) return undefined
    return rawText(String(value))
  } catch {
    return undefined
  }
}

/** A field of a record, by its name: a getter of a class too. One that throws is not there: it is somebody else's code. */
export function fieldOf(record: object, name: string): unknown {
  try {
    return (record as Readonly<Record<string, unknown>>)[name]
  } catch {
    return undefined
  }
}
/** Whether a record has a field. */
export function hasField(record: object, name: string): boolean {
  try {
    return name in record
  } catch {
    return false
  }
}

/** A text without its percent-encoding (RFC 3986 §2.1); as it is where that is broken. */
export function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
