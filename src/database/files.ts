/**
 * Folders and files of our own: nobody else of the machine reads them, whatever the umask and whoever made their parent, and
 * what somebody has put in their place is not followed.
 */
import { chmodSync, existsSync, lstatSync, mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { codeOf } from '../model/failure.js'

/** For us alone. */
export const PRIVATE_FOLDER = 0o700
export const PRIVATE_FILE = 0o600
/** For everybody who can reach it. */
export const OPEN_FOLDER = 0o755
export const OPEN_FILE = 0o644

/** Sets the rights of what is ours. A file system that has none, or another owner, leaves them as they are. */
export function setMode(path: string, mode: number): void {
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false })
    if (stats !== undefined && !stats.isSymbolicLink() && (stats.mode & 0o777) !== mode) chmodSync(path, mode)
  } catch {
    // Whoever may not change them has been given what there is.
  }
}

/**
 * Makes a folder where there is none, step by step: on file systems that refuse in their own way, Node's own would try
 * again for ever. What is there already stays as it is. @returns whether it was made
 * @throws what the file system throws
 */
export function makeFolder(path: string, mode: number = PRIVATE_FOLDER): boolean {
  if (existsSync(path)) {
    if (lstatSync(path).isDirectory() || existsSync(`${path}/.`)) return false
    throw Object.assign(new Error(`${path} is no directory`), { code: 'ENOTDIR' })
  }
  const parent = dirname(path)
  if (parent !== path) makeFolder(parent, mode)
  try {
    mkdirSync(path, { mode })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    return false
  }
  setMode(path, mode)
  return true
}

/** Makes a folder that is ours alone, also where it was there with other rights. @throws what the file system throws */
export function makeOwnFolder(path: string): void {
  makeFolder(path)
  setMode(path, PRIVATE_FOLDER)
}

/** Takes away what is no regular file and stands where one of ours belongs: a link, a pipe, a folder. */
export function clearOdd(path: string): void {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats !== undefined && !stats.isFile()) rmSync(path, { recursive: true, force: true })
}
