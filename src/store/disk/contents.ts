/**
 * Bytes in cacache: content by digest, and for every name one index entry that carries enough to rebuild the
 * catalogue. A name has two keys, `name#0` and `name#1`: a new generation is written under the one that is
 * not in use, and the other goes when the new one counts. So no bucket grows, and a name can be looked up
 * without the catalogue. Files are told from anything else before they are opened; only regular ones are read.
 */
import { createHash, randomUUID } from 'node:crypto'
import { constants, existsSync, lstatSync, readFileSync, statfsSync, unlinkSync } from 'node:fs'
import { lstat, open, opendir, readdir, readFile, rename, rmdir, unlink, writeFile } from 'node:fs/promises'
import { join, sep } from 'node:path'
import cacache from 'cacache'
import { clearOdd, makeFolder, OPEN_FILE, PRIVATE_FILE, setMode } from '../../database/files.js'
import { digestOf, isDigest } from '../../model/digest.js'
import type { Entry } from '../../model/entry.js'
import { codeOf } from '../../model/failure.js'
import type { IndexEntry } from './catalogue.js'
import { fromIndex, toIndex } from './names.js'

/** The keys of a name. */
export const SLOTS = [0, 1] as const

/** See the top of the file. */
export type Contents = ReturnType<typeof createContents>

/** A bucket over this size was not written by us: an entry is under 10 KiB. */
const MAX_BUCKET = 64 * 1024

const integrityOf = (digest: string): string => `sha256-${Buffer.from(digest, 'hex').toString('base64')}`
const keyOf = (name: string, slot: number): string => `${name}#${slot}`
const isCode = (error: unknown, ...codes: readonly string[]): boolean => codes.includes(codeOf(error))

/** Whether a read failed because the content itself is bad, and not only because it could not be read now. */
export class BadContent extends Error {}

/**
 * Opens a cacache directory; nothing is read or made before the first verb.
 * @param owner marks our temporary files, so that those of a process that died can be told
 */
export function createContents(directory: string, owner: () => string) {
  const contents = join(directory, 'content-v2', 'sha256')
  const index = join(directory, 'index-v5')
  const temporary = join(directory, 'tmp')
  /** Where cacache keeps a content (its layout `content-v2`; held to be true by a test). */
  const contentPath = (digest: string): string =>
    join(contents, digest.slice(0, 2), digest.slice(2, 4), digest.slice(4))
  /** Where cacache keeps the entry of a key (its layout `index-v5`; held to be true by a test). */
  const bucketPath = (name: string, slot: number): string => {
    const hash = createHash('sha256').update(keyOf(name, slot)).digest('hex')
    return join(index, hash.slice(0, 2), hash.slice(2, 4), hash.slice(4))
  }
  let block = 0
  const blockSize = (): number => {
    block ||= statfsSync(directory).bsize || 4096
    return block
  }
  /** Size of a regular file, undefined for anything else, and for what cannot be looked at. */
  const sizeOf = (path: string): number | undefined => {
    try {
      const stats = lstatSync(path, { throwIfNoEntry: false })
      return stats?.isFile() ? stats.size : undefined
    } catch {
      return undefined
    }
  }
  const discardFile = async (path: string): Promise<void> => {
    try {
      clearOdd(path)
      await unlink(path)
    } catch (error) {
      if (!isCode(error, 'ENOENT', 'ENOTDIR')) throw error
    }
  }

  /** The regular files in folders this deep, a directory at a time. What cannot be opened is passed over, and told. */
  async function* filesBelow(folder: string, depth: number, onSkip?: () => void): AsyncGenerator<string> {
    let entries: Awaited<ReturnType<typeof opendir>>
    try {
      entries = await opendir(folder)
    } catch (error) {
      if (!isCode(error, 'ENOENT')) onSkip?.()
      return
    }
    for await (const entry of entries) {
      const path = join(folder, entry.name)
      if (depth === 0 && entry.isFile()) yield path
      else if (depth > 0 && entry.isDirectory()) yield* filesBelow(path, depth - 1, onSkip)
    }
  }
  const readLine = (text: string): IndexEntry | undefined => {
    try {
      const { key, metadata }: { key?: unknown; metadata?: { entry?: unknown; generation?: unknown } } =
        JSON.parse(text)
      const entry = fromIndex(metadata?.entry)
      const generation = metadata?.generation
      if (entry === undefined || typeof generation !== 'number' || !Number.isSafeInteger(generation))
        return undefined
      const slot = SLOTS.find((one) => key === keyOf(entry.key, one))
      return slot === undefined ? undefined : { entry, generation, slot }
    } catch {
      return undefined
    }
  }
  /**
   * The last sound entry of a bucket, by cacache's own rule: a line counts when its hash is right.
   * @throws what the file system throws when it cannot be read
   */
  const readBucket = async (path: string): Promise<IndexEntry | undefined> => {
    const stats = await lstat(path).catch(() => undefined)
    if (!stats?.isFile() || stats.size > MAX_BUCKET) return undefined
    const lines = (await readFile(path, 'utf8')).split('\n')
    for (const line of lines.reverse()) {
      const [hash, text] = line.split('\t')
      if (text === undefined || createHash('sha1').update(text).digest('hex') !== hash) continue
      return readLine(text)
    }
    return undefined
  }
  const insert = (entry: Entry, generation: number) => ({
    size: entry.size,
    metadata: { entry: toIndex(entry), generation },
  })

  return {
    contentPath,
    bucketPath,
    /** Puts content and index entry. @throws what the file system throws */
    put: async (entry: Entry, generation: number, slot: number, bytes: Buffer): Promise<void> => {
      const options = {
        ...insert(entry, generation),
        algorithms: ['sha256'] as [string],
        integrity: integrityOf(entry.digest),
        tmpPrefix: owner(),
      }
      const [content, bucket] = [contentPath(entry.digest), bucketPath(entry.key, slot)]
      // Nothing is written into what is no file of ours: a pipe would be waited for.
      for (const path of [content, bucket]) clearOdd(path)
      await cacache.put(directory, keyOf(entry.key, slot), bytes, options)
      // Nobody else reaches either of them here; a hard link to the content is for everybody.
      setMode(content, OPEN_FILE)
      setMode(bucket, PRIVATE_FILE)
    },
    /** Writes the index entry alone. @throws what the file system throws */
    list: async (entry: Entry, generation: number, slot: number): Promise<void> => {
      await discardFile(bucketPath(entry.key, slot))
      await cacache.index.insert(
        directory,
        keyOf(entry.key, slot),
        integrityOf(entry.digest),
        insert(entry, generation),
      )
      setMode(bucketPath(entry.key, slot), PRIVATE_FILE)
    },
    /**
     * Reads a content whole and verifies it, before any byte of it is used.
     * @throws BadContent when it is damaged or not there; else what the file system throws
     */
    read: async (digest: string, size: number): Promise<Buffer> => {
      const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)
      const file = await open(contentPath(digest), flags).catch((error) => {
        if (isCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EISDIR'))
          throw new BadContent('not there', { cause: error })
        throw error
      })
      try {
        const stats = await file.stat()
        if (!stats.isFile() || stats.size !== size) throw new BadContent('of another size')
        const bytes = Buffer.allocUnsafeSlow(size)
        for (let at = 0; at < size; ) {
          const { bytesRead } = await file.read(bytes, at, size - at, at)
          if (bytesRead === 0) throw new BadContent('cut')
          at += bytesRead
        }
        if (digestOf(bytes) !== digest) throw new BadContent('of another digest')
        return bytes
      } finally {
        await file.close()
      }
    },
    /** Whether a content that is on disk is damaged, told synchronously. One that is not there is not. */
    isDamaged: (digest: string): boolean => {
      const path = contentPath(digest)
      const stats = lstatSync(path, { throwIfNoEntry: false })
      return stats !== undefined && !(stats.isFile() && digestOf(readFileSync(path)) === digest)
    },
    /** Takes away folders that stand empty: each costs an inode. */
    prune: async (): Promise<void> => {
      for (const root of [contents, index]) {
        for (const first of await readdir(root).catch(() => [])) {
          for (const second of await readdir(join(root, first)).catch(() => []))
            await rmdir(join(root, first, second)).catch(() => {})
          await rmdir(join(root, first)).catch(() => {})
        }
      }
    },
    /** Whether nothing was ever kept here. */
    isEmpty: (): boolean => !existsSync(index) && !existsSync(contents),
    has: (digest: string): boolean => sizeOf(contentPath(digest)) !== undefined,
    /** What the index entry of a key costs on disk, bytes; undefined where entry or content is not there. */
    cost: ({ entry, slot }: Pick<IndexEntry, 'entry' | 'slot'>): number | undefined => {
      if (sizeOf(contentPath(entry.digest)) !== entry.size) return undefined
      const size = sizeOf(bucketPath(entry.key, slot))
      return size === undefined ? undefined : Math.ceil(size / blockSize()) * blockSize()
    },
    /** Takes a content off the disk. Answers whether it was there. */
    unlink: (digest: string): boolean => {
      try {
        clearOdd(contentPath(digest))
        unlinkSync(contentPath(digest))
        return true
      } catch (error) {
        if (!isCode(error, 'ENOENT', 'ENOTDIR')) throw error
        return false
      }
    },
    /** Takes the index entry of a key away, file and all. */
    unlist: (name: string, slot: number): Promise<void> => discardFile(bucketPath(name, slot)),
    /** The index entry of a key. */
    find: async (name: string, slot: number): Promise<IndexEntry | undefined> => {
      const found = await readBucket(bucketPath(name, slot))
      return found?.entry.key === name && found.slot === slot ? found : undefined
    },
    /**
     * Every bucket there is, with what it says; nothing for one that says nothing.
     * @param onSkip told of each that cannot be read, and is passed over
     */
    async *buckets(
      onSkip?: () => void,
    ): AsyncGenerator<{ readonly path: string; readonly found: IndexEntry | undefined }> {
      for await (const path of filesBelow(index, 2, onSkip)) {
        const found = await readBucket(path).catch((error) => {
          if (!isCode(error, 'ENOENT', 'ENOTDIR')) onSkip?.()
          return 'unreadable' as const
        })
        if (found !== 'unreadable') yield { path, found }
      }
    },
    /** The digest of every content there is. @param onSkip told of each folder that cannot be read */
    async *digests(onSkip?: () => void): AsyncGenerator<string> {
      for await (const path of filesBelow(contents, 2, onSkip)) {
        const digest = path.slice(contents.length).split(sep).join('')
        if (isDigest(digest)) yield digest
      }
    },
    sizeOf: (digest: string): number => sizeOf(contentPath(digest)) ?? 0,
    /** Temporary files of writers, each with who made it. Files that no writer of ours names are not among them. */
    async *temporary(): AsyncGenerator<{ readonly path: string; readonly owner: string }> {
      const made = /^([0-9a-f-]{36})-[0-9a-f-]{36}$/
      for await (const path of filesBelow(temporary, 0)) {
        const [, by] = made.exec(path.slice(temporary.length + 1)) ?? []
        if (by !== undefined) yield { path, owner: by }
      }
    },
    /** Writes a file where contents are written, and takes it away. @throws what the file system throws */
    probe: async (): Promise<void> => {
      makeFolder(contents)
      makeFolder(temporary)
      const name = `${owner()}-${randomUUID()}`
      const made = join(temporary, name)
      const moved = join(contents, `.${name}`)
      try {
        await writeFile(made, 'x', { flag: 'wx' })
        await rename(made, moved)
      } finally {
        await unlink(made).catch(() => {})
        await unlink(moved).catch(() => {})
      }
    },
    discardFile,
    readBucket,
  }
}
