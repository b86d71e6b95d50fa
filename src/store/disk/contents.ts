/** Bytes in cacache, by their digest, and the index beside them ({@link createRecoveryIndex}). */
import { randomUUID } from 'node:crypto'
import { close, constants, existsSync, lstatSync, open, read, readFileSync, unlinkSync } from 'node:fs'
import { rename, unlink, writeFile } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { clearOdd, makeFolder, OPEN_FILE, OPEN_FOLDER, PRIVATE_FILE, setMode } from '../../database/files.js'
import { digestOf, isDigest } from '../../model/digest.js'
import type { Entry } from '../../model/entry.js'
import { discardFile, filesBelow, inFolder, isCode, pruneFolders, sizeOf, writeOut } from './files.js'
import { createRecoveryIndex, indexFolder } from './recovery-index.js'

/** See the top of the file. */
export type Contents = ReturnType<typeof createContents>

/** Whether a read failed because the content itself is bad, and not only because it could not be read now. */
export class BadContent extends Error {}

/** A temporary file: whose it is, and a random part. */
const TEMPORARY = /^([0-9a-f-]{36})-[0-9a-f-]{36}$/

/**
 * Reads a content whole and verifies it, before any byte of it is used.
 * @throws BadContent when it is damaged or not there; else what the file system throws
 */
async function readContent(path: string, digest: string, size: number): Promise<Buffer> {
  let bytes: Buffer
  try {
    bytes = await readWhole(path, size)
  } catch (error) {
    if (isCode(error, ...NOT_A_FILE)) throw new BadContent('not there', { cause: error })
    throw error
  }
  if (bytes.length !== size) throw new BadContent('of another size')
  if (digestOf(bytes) !== digest) throw new BadContent('of another digest')
  return bytes
}

/** What opening and reading says of a path with no file of ours. */
const NOT_A_FILE = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EISDIR', 'ESPIPE', 'EAGAIN']
const READ_ONLY = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/**
 * Reads a file whose size is known, in one read where that brings it; with descriptors, which cost half of what handles do.
 * What is longer is read no further than by one byte more.
 */
function readWhole(path: string, size: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    open(path, READ_ONLY, (failure, file) => {
      if (failure !== null) return reject(failure)
      // Nobody waits for it to be closed.
      const end = (): void => close(file, () => {})
      let bytes: Buffer
      try {
        bytes = Buffer.allocUnsafeSlow(size + 1)
      } catch (noMemory) {
        end()
        return reject(noMemory)
      }
      let at = 0
      const readOn = (): void =>
        read(file, bytes, at, bytes.length - at, at, (error, count) => {
          if (error !== null) {
            end()
            return reject(error)
          }
          at += count
          // Once more where less came than there should be: the end of the file reads as nothing.
          if (count > 0 && at < size) return readOn()
          end()
          resolve(bytes.subarray(0, at))
        })
      readOn()
    })
  })
}

/** Writes a file under another name first, so that it is there whole or not at all. Its folders are made where they lack. */
async function writeWhole(temporary: string, path: string, bytes: Buffer): Promise<void> {
  try {
    await inFolder(temporary, OPEN_FOLDER, () => writeOut(temporary, 'wx', bytes, OPEN_FILE))
    await inFolder(path, OPEN_FOLDER, () => rename(temporary, path))
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
}

/**
 * Opens a cacache directory; nothing is read or made before the first verb.
 * @param owner marks our temporary files, so that those of a process that died can be told
 */
export function createContents(directory: string, owner: () => string) {
  const contents = join(directory, 'content-v2', 'sha256')
  const temporary = join(directory, 'tmp')
  /** Where cacache keeps a content (its layout `content-v2`; a test compares it). */
  const contentPath = (digest: string): string =>
    join(contents, digest.slice(0, 2), digest.slice(2, 4), digest.slice(4))
  const index = createRecoveryIndex(directory, (digest) => sizeOf(contentPath(digest)))

  return {
    ...index,
    contentPath,
    /** Puts content and index entry, in the layout of cacache. @throws what the file system throws */
    put: async (entry: Entry, generation: number, slot: number, bytes: Buffer): Promise<void> => {
      const [content, bucket] = [contentPath(entry.digest), index.bucketPath(entry.key, slot)]
      // Nothing is written into what is no file of ours: a pipe would be waited for.
      for (const path of [content, bucket]) clearOdd(path)
      if (!existsSync(content))
        await writeWhole(join(temporary, `${owner()}-${randomUUID()}`), content, bytes)
      await index.add(entry, generation, slot)
      // Nobody else reaches either of them here; a hard link to the content is for everybody.
      setMode(content, OPEN_FILE)
      setMode(bucket, PRIVATE_FILE)
    },
    read: (digest: string, size: number): Promise<Buffer> => readContent(contentPath(digest), digest, size),
    /** Whether a content that is on disk is damaged, synchronously. One that is not there is not. */
    isDamaged: (digest: string): boolean => {
      const path = contentPath(digest)
      const stats = lstatSync(path, { throwIfNoEntry: false })
      return stats !== undefined && !(stats.isFile() && digestOf(readFileSync(path)) === digest)
    },
    has: (digest: string): boolean => sizeOf(contentPath(digest)) !== undefined,
    sizeOf: (digest: string): number => sizeOf(contentPath(digest)) ?? 0,
    /** Deletes a content. Answers whether it was there. */
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
    /** The digest of every content there is. @param onSkip called for each folder that cannot be read */
    async *digests(onSkip?: () => void): AsyncGenerator<string> {
      for await (const path of filesBelow(contents, 2, onSkip)) {
        const digest = path.slice(contents.length).split(sep).join('')
        if (isDigest(digest)) yield digest
      }
    },
    /** Removes empty folders. */
    prune: async (): Promise<void> => {
      for (const root of [contents, indexFolder(directory)]) await pruneFolders(root)
    },
    /** Whether nothing was ever stored here. */
    isEmpty: (): boolean => !existsSync(indexFolder(directory)) && !existsSync(contents),
    /** Temporary files of writers, each with who made it. Files that no writer of ours names are not among them. */
    async *temporary(): AsyncGenerator<{ readonly path: string; readonly owner: string }> {
      for await (const path of filesBelow(temporary, 0)) {
        const [, by] = TEMPORARY.exec(path.slice(temporary.length + 1)) ?? []
        if (by !== undefined) yield { path, owner: by }
      }
    },
    /** Writes a file where contents are written, and deletes it. @throws what the file system throws */
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
  }
}
