/**
 * When the disk is full, or cannot be written, nothing new is kept for a minute: pictures are answered all the same,
 * what is held is read as before, and room is made. SQLite needs a little space to give anything up, so some is set
 * aside for then.
 */
import { rmSync, statfsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PRIVATE_FILE } from '../../database/files.js'
import type { DiskParts, KeyLocks } from './key-locks.js'

/** See the top of the file. */
export type WriteSuspension = ReturnType<typeof createWriteSuspension>

const PAUSE = 60_000
const RESERVE = 256 * 1024
const LEAST_BYTES = 64 * 1024
const LEAST_INODES = 16
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

/** Whether a file system has next to nothing left. Node tells a want of inodes as EEXIST or ENOENT of a folder. */
function isNearlyFull(directory: string): boolean {
  try {
    const { bavail, bsize, files, ffree } = statfsSync(directory)
    return bavail * bsize < LEAST_BYTES || (files > 0 && ffree < LEAST_INODES)
  } catch {
    return false
  }
}

const reserveOf = (directory: string): string => join(directory, 'ballast')

/** Lets go of what was set aside, where the disk is full. */
export function removeReserve(directory: string, isFull = isNearlyFull(directory)): void {
  if (isFull) rmSync(reserveOf(directory), { force: true })
}

/** Makes the part of the store that rests when the disk cannot take more. */
export function createWriteSuspension(directory: string, shelf: DiskParts, changes: KeyLocks) {
  const ballast = reserveOf(directory)
  let until = 0
  let why: string | undefined
  const setAside = async (): Promise<void> => {
    try {
      // A new file each time: nothing that somebody put there is written through.
      await rm(ballast, { force: true })
      await writeFile(ballast, Buffer.alloc(RESERVE), { flag: 'wx', mode: PRIVATE_FILE })
    } catch {
      // Without it, less can be done on a full disk.
    }
  }
  const makeRoom = async (): Promise<void> => {
    try {
      await rm(ballast, { force: true })
      await changes.shrink()
    } catch (error) {
      shelf.trouble('making room', error)
    }
  }
  let work = setAside()
  return {
    /** Why nothing is kept now, undefined where it is. */
    reason: (): string | undefined => {
      if (why === undefined || performance.now() < until) return why
      why = undefined
      work = work.then(setAside)
      return undefined
    },
    /** Told of a write that failed. */
    notice: (error: unknown): void => {
      const isFull = isOneOf(error, FULL) || isNearlyFull(directory)
      if (shelf.isClosed() || !(isFull || isOneOf(error, UNWRITABLE))) return
      const isNews = why === undefined
      why = isFull ? 'the disk is full' : 'the disk cannot be written'
      until = performance.now() + PAUSE
      if (!isNews) return
      shelf.logger.warn({ err: error }, `artwork store: ${why}; nothing new is kept for a minute`)
      if (isFull) work = work.then(makeRoom)
    },
    /** Resolves when nothing of it is under way. */
    settled: (): Promise<void> => work,
  }
}
