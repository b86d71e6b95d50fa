/** Digests: what bytes are known by. */
import { createHash } from 'node:crypto'

/** SHA-256 of the bytes, 64 lower-case hex digits. */
export const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Whether a value is the text of a digest. */
export const isDigest = (value: unknown): value is string =>
  typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)

/** The version that URLs carry as `?v=`: the first 16 hex digits of a digest. */
export const versionOf = (digest: string): string => digest.slice(0, 16)

/** The strong entity tag of bytes (RFC 9110 §8.8.3), quotes included. */
export const etagOf = (digest: string): string => `"${digest.slice(0, 32)}"`
