/**
 * When the disk is full, or cannot be written, nothing new is stored for a minute: images are served all the same, and
 * room is made. SQLite needs a little space to delete anything, so some is reserved for then.
 */
import { rmSync, statfsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { PRIVATE_FILE } from '../../database/files.js'
import { layoutOf } from './layout.js'
import type { DiskParts } from './parts.js'

/** See the top of the file. */
export type WriteSuspension = ReturnType<typeof createWriteSuspension>

const SUSPENDED_FOR = 60_000
/** Bytes that are set aside. */
export const RESERVE = 256 * 1024
/** With less, a file system is full. */
export const LEAST_BYTES = 64 * 1024
export const LEAST_INODES = 16
const FULL = ['ENOSPC', 'EDQUOT', 'SQLITE_FULL']
const UNWRITABLE = ['EROFS', 'EACCES', 'EPERM', 'EIO', 'SQLITE_READONLY', 'SQLITE_IOERR', 'SQLITE_CANTOPEN']

const codesOf = (error: unknown): readonly string[] =>
  error instanceof Error
    ? [
        ...('code' in error ? [String(error.code)] : []),
        ...(error.cause === undefined ? [] : codesOf(error.cause)),
      ]
    : []
const isOneOf = (error: unknown, codes: readonly string[]): boolean =>
  codesOf(error).some((code) => codes.some((start) => code.startsWith(start)))

/** Whether a file system has next to nothing left. Node reports a lack of inodes as EEXIST or ENOENT of a folder. */
function isNearlyFull(directory: string): boolean {
  try {
    const { bavail, bsize, files, ffree } = statfsSync(directory)
    return bavail * bsize < LEAST_BYTES || (files > 0 && ffree < LEAST_INODES)
  } catch {
    return false
  }
}

/** Frees the reserved space, where the disk is full. */
export function removeReserve(directory: string, isFull = isNearlyFull(directory)): void {
  if (isFull) rmSync(layoutOf(directory).reserve, { force: true })
}

/** Makes the suspension of a store's writes. @param shrink evicts some of what there is */
export function createWriteSuspension(
  directory: string,
  parts: Pick<DiskParts, 'isClosed' | 'logger' | 'onError'>,
  shrink: () => Promise<void>,
) {
  const reserve = layoutOf(directory).reserve
  let until = 0
  let why: string | undefined
  const reserveSpace = async (): Promise<void> => {
    try {
      // A new file each time: nothing that somebody put there is written through.
      await rm(reserve, { force: true })
      await writeFile(reserve, Buffer.alloc(RESERVE), { flag: 'wx', mode: PRIVATE_FILE })
    } catch {
      // Without it, less can be done on a full disk.
    }
  }
  const makeRoom = async (): Promise<void> => {
    try {
      await rm(reserve, { force: true })
      await shrink()
    } catch (error) {
      parts.onError('making room', error)
    }
  }
  let work = reserveSpace()
  return {
    /** Why nothing is stored now, undefined where it is. */
    reason: (): string | undefined => {
      if (why === undefined || performance.now() < until) return why
      why = undefined
      work = work.then(reserveSpace)
      return undefined
    },
    /** Called with the error of a failed write. */
    onWriteError: (error: unknown): void => {
      const isFull = isOneOf(error, FULL) || isNearlyFull(directory)
      if (parts.isClosed() || !(isFull || isOneOf(error, UNWRITABLE))) return
      const isNew = why === undefined
      why = isFull ? 'the disk is full' : 'the disk cannot be written'
      until = performance.now() + SUSPENDED_FOR
      if (!isNew) return
      parts.logger.warn({ err: error }, `artwork store: ${why}; nothing new is kept for a minute`)
      if (isFull) work = work.then(makeRoom)
    },
    /** Resolves when nothing is being reserved or evicted. */
    settled: (): Promise<void> => work,
  }
}
