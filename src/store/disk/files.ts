/** Files of cacache's directory. They are told from anything else before they are opened; only regular ones are read. */
import { close, existsSync, lstatSync, open, statfsSync, write } from 'node:fs'
import { opendir, readdir, rmdir, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { clearOdd, makeFolder } from '../../database/files.js'
import { codeOf } from '../../model/failure.js'

/** Whether an error has one of these codes. */
export const isCode = (error: unknown, ...codes: readonly string[]): boolean => codes.includes(codeOf(error))

/** Size of a regular file, undefined for anything else, and for what cannot be looked at. */
export function sizeOf(path: string): number | undefined {
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false })
    return stats?.isFile() ? stats.size : undefined
  } catch {
    return undefined
  }
}

/** Answers the block size of a directory's file system, which is asked once. */
export function blockSizeOf(directory: string): () => number {
  let block = 0
  return () => {
    block ||= statfsSync(directory).bsize || 4096
    return block
  }
}

/** Bytes that one write may take: Node takes no more than 2 GiB. */
const MOST_AT_ONCE = 2 ** 30

/** Writes a file whole, from where the flag says; with descriptors, which cost half of what handles do. */
export function writeOut(path: string, flag: 'wx' | 'a', bytes: Buffer, mode: number): Promise<void> {
  return new Promise((resolve, reject) => {
    open(path, flag, mode, (failure, file) => {
      if (failure !== null) return reject(failure)
      const end = (error: Error | null): void =>
        close(file, (failed) => {
          const why = error ?? failed
          if (why) reject(why)
          else resolve()
        })
      const writeOn = (at: number): void =>
        write(file, bytes, at, Math.min(bytes.length - at, MOST_AT_ONCE), null, (error, count) => {
          const isLeft = at + count < bytes.length
          if (error !== null) end(error)
          else if (isLeft && count === 0)
            end(Object.assign(new Error('nothing was written'), { code: 'EIO' }))
          else if (isLeft) writeOn(at + count)
          else end(null)
        })
      writeOn(0)
    })
  })
}

/** Does something with a path whose folder is made where it lacks, also where that has just been pruned. */
export async function inFolder(path: string, mode: number, work: () => Promise<void>): Promise<void> {
  const folder = dirname(path)
  try {
    if (!existsSync(folder)) makeFolder(folder, mode)
    await work()
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error
    makeFolder(folder, mode)
    await work()
  }
}

/** Deletes what stands at a path, if anything. Answers whether there was a file. */
export async function discardFile(path: string): Promise<boolean> {
  try {
    clearOdd(path)
    await unlink(path)
    return true
  } catch (error) {
    if (!isCode(error, 'ENOENT', 'ENOTDIR')) throw error
    return false
  }
}

/** The regular files in folders this deep, a directory at a time. @param onSkip called for what cannot be opened */
export async function* filesBelow(
  folder: string,
  depth: number,
  onSkip?: () => void,
): AsyncGenerator<string> {
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

/** Removes empty folders of two levels: each costs an inode. */
export async function pruneFolders(root: string): Promise<void> {
  for (const first of await readdir(root).catch(() => [])) {
    for (const second of await readdir(join(root, first)).catch(() => []))
      await rmdir(join(root, first, second)).catch(() => {})
    await rmdir(join(root, first)).catch(() => {})
  }
}
