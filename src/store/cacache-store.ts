/**
 * Bytes in cacache: content by digest, and for every name one index entry that carries enough to rebuild
 * the catalogue. A key holds name and generation, so a bucket is written once and never grows.
 */
import { unlinkSync } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import cacache from 'cacache'
import type { Entry } from '../model/entry.js'

/** What an index entry carries besides cacache's own fields. */
interface Metadata {
  readonly entry: Entry
  readonly generation: number
}

/** A name as cacache knows it. */
export interface Kept extends Metadata {
  readonly key: string
}

/** See the top of the file. */
export type Bytes = ReturnType<typeof createBytes>

const keyOf = (name: string, generation: number): string => `${name}#${generation}`

const integrityOf = (digest: string): string => `sha256-${Buffer.from(digest, 'hex').toString('base64')}`

/** cacache's own signature: its published types leave out the options, without which a bucket only grows. */
const removeEntry: (cache: string, key: string, options: { removeFully: boolean }) => Promise<unknown> =
  cacache.rm.entry

const isMetadata = (value: unknown): value is Metadata => {
  if (typeof value !== 'object' || value === null || !('entry' in value) || !('generation' in value))
    return false
  const { entry, generation } = value
  return (
    typeof generation === 'number' &&
    typeof entry === 'object' &&
    entry !== null &&
    'name' in entry &&
    'digest' in entry
  )
}

/** Opens a cacache directory; nothing is read or made before the first verb. */
export function createBytes(directory: string) {
  /** Where cacache keeps a content (its layout `content-v2`; held to be true by a test). */
  const contentPath = (digest: string): string =>
    join(directory, 'content-v2', 'sha256', digest.slice(0, 2), digest.slice(2, 4), digest.slice(4))

  return {
    contentPath,
    /** Puts content and index entry. @throws what the file system throws */
    put: async (entry: Entry, generation: number, bytes: Buffer): Promise<void> => {
      const metadata: Metadata = { entry, generation }
      await cacache.put(directory, keyOf(entry.name, generation), bytes, {
        algorithms: ['sha256'],
        integrity: integrityOf(entry.digest),
        size: bytes.length,
        metadata,
      })
    },
    /** Reads and verifies a content whole, before any byte of it is used. @throws EINTEGRITY, ENOENT … */
    read: (digest: string): Promise<Buffer> =>
      cacache.get.byDigest(directory, integrityOf(digest), { memoize: false }),
    has: (digest: string): Promise<boolean> =>
      access(contentPath(digest)).then(
        () => true,
        () => false,
      ),
    /** Takes a content off the disk. One that is not there is fine. */
    unlink: (digest: string): void => {
      try {
        unlinkSync(contentPath(digest))
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
      }
    },
    /** Takes the index entry of one generation away, file and all. */
    forget: (name: string, generation: number): Promise<unknown> =>
      removeEntry(directory, keyOf(name, generation), { removeFully: true }),
    /** Every index entry there is, one after the other; damaged ones are passed over by cacache. */
    async *list(): AsyncGenerator<Kept> {
      for await (const item of cacache.ls.stream(directory)) {
        const { key, metadata } = item as unknown as { key: string; metadata: unknown }
        if (isMetadata(metadata)) yield { key, ...metadata }
      }
    },
  }
}
