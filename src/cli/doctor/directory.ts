/** The directory: whether it is there, whose it is, who may look into it, and on what it lies. */
import type { Stats } from 'node:fs'
import { access, constants, lstat, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { codeOf } from '../../model/failure.js'
import { layoutOf } from '../../store/disk/layout.js'
import { LEAST_BYTES, LEAST_INODES, RESERVE } from '../../store/disk/write-suspension.js'
import { type Finding, findings } from './finding.js'
import { sizeText } from './mistakes.js'
import type { Subject } from './subject.js'

/** Files and folders of a stored name: its content, its index entry, and what they lie in. */
const INODES_PER_NAME = 3

const LOGS = ['', '-wal', '-shm', '.lock']
/** File systems by their numbers in Linux: where SQLite's locks and shared memory do not work, or do not last. */
const NETWORK: Readonly<Record<number, string>> = {
  26985: 'NFS',
  20859: 'SMB',
  4283649346: 'CIFS',
  4266872130: 'SMB',
  16914839: '9P',
  12805120: 'Ceph',
  1397113167: 'AFS',
  198183888: 'Lustre',
}
const IN_MEMORY: Readonly<Record<number, string>> = { 16914836: 'tmpfs', 2240043254: 'ramfs' }
const FUSE = 1702057286
const OVERLAY = 2035054128

const statsOf = (path: string): Promise<Stats | undefined> => lstat(path).catch(() => undefined)

/** The databases of a directory, by where they lie. */
export const databasesOf = (directory: string, uploads: Subject['uploads']) => ({
  catalogue: layoutOf(directory).catalogue,
  ...(uploads !== undefined && { uploads: join(uploads.directory, 'uploads.db') }),
  jobs: join(directory, 'jobs.db'),
})

async function ancestorOf(path: string): Promise<string> {
  const parent = dirname(path)
  return parent === path || (await statsOf(parent)) !== undefined ? parent : ancestorOf(parent)
}

async function isUsable(path: string, mode: number): Promise<string | undefined> {
  try {
    await access(path, mode)
    return undefined
  } catch (error) {
    return codeOf(error)
  }
}

const userText = (): string => {
  const uid = process.getuid?.()
  return uid === undefined ? 'this user' : `user ${uid}`
}

/** Whether a folder is one that this user can work in. @param option names it */
async function folderFindings(path: string, option: string): Promise<readonly Finding[]> {
  const { ok, info, warning, error } = findings('directory')
  const stats = await stat(path).catch((thrown: unknown) => codeOf(thrown))
  if (stats === 'ENOENT') {
    const parent = await ancestorOf(path)
    const problem = await isUsable(parent, constants.W_OK | constants.X_OK)
    return problem === undefined
      ? [warning(`${path} is not there`, `correct ${option}, or start the app, which makes it`)]
      : [
          error(
            `${path} is not there, and ${userText()} cannot make it in ${parent} (${problem})`,
            `mkdir ${path} as its owner, and chown it to the user of the app; or correct ${option}`,
          ),
        ]
  }
  if (typeof stats === 'string')
    return [
      error(`${path} cannot be looked at (${stats})`, `correct ${option}, or the rights of its parents`),
    ]
  if (!stats.isDirectory())
    return [error(`${path} is no directory`, `correct ${option}, or move the file away`)]
  const problem = await isUsable(path, constants.R_OK | constants.W_OK | constants.X_OK)
  if (problem === 'EROFS')
    return [error(`${path} is on a file system that is mounted read-only`, 'mount it for writing')]
  if (problem !== undefined)
    return [
      error(
        `${userText()} cannot read and write ${path}, which belongs to user ${stats.uid} (${problem})`,
        `chown -R the directory to the user of the app, or run this as user ${stats.uid}`,
      ),
    ]
  if (process.getuid?.() === 0 && stats.uid !== 0)
    return [
      ok(path),
      info(
        `${path} belongs to user ${stats.uid}, and this is root, who may do everything`,
        `run this as user ${stats.uid} to see what the app sees`,
      ),
    ]
  return [ok(path)]
}

/** The directory, and that of uploads where it is elsewhere. */
export async function directoryFindings({ directory, uploads }: Subject): Promise<readonly Finding[]> {
  if (directory === undefined) {
    const { error } = findings('directory')
    return [
      error('which directory is to be looked at is not known', 'correct the options, or give --directory'),
    ]
  }
  const found = [...(await folderFindings(directory, 'directory (--directory)'))]
  if (uploads !== undefined && !uploads.isOwn)
    found.push(...(await folderFindings(uploads.directory, 'uploads.directory')))
  return found
}

/** What is for the app alone, and others may read. */
export async function rightsFindings(
  directory: string,
  uploads: Subject['uploads'],
): Promise<readonly Finding[]> {
  const { ok, warning } = findings('rights')
  if (process.platform === 'win32') return [ok('not looked at on Windows')]
  const { contents, processes, reserve } = layoutOf(directory)
  const paths = [contents, processes, join(directory, 'workers'), reserve]
  for (const file of Object.values(databasesOf(directory, uploads)))
    paths.push(...LOGS.map((suffix) => file + suffix))
  if (uploads !== undefined) paths.push(join(uploads.directory, 'key'))
  if (uploads?.isOwn) paths.push(uploads.directory)
  const open: string[] = []
  for (const path of paths) {
    const stats = await statsOf(path)
    if (stats !== undefined && !stats.isSymbolicLink() && (stats.mode & 0o077) !== 0) open.push(path)
  }
  return open.length === 0
    ? [ok('what is private can be read by its owner alone')]
    : [warning(`others may read or write ${open.join(', ')}`, `chmod go-rwx ${open.join(' ')}`)]
}

/** On what the directory lies. */
export async function fileSystemFindings(
  { machine }: Subject,
  directory: string,
): Promise<readonly Finding[]> {
  const { ok, info, warning } = findings('file-system')
  const type = Number((await machine.fileSystem(directory)).type) >>> 0
  const network = NETWORK[type]
  if (network !== undefined)
    return [
      warning(
        `${directory} is on ${network}, where the locks and the shared memory of SQLite do not work reliably`,
        'set directory to a local disk',
      ),
    ]
  const inMemory = IN_MEMORY[type]
  if (inMemory !== undefined)
    return [
      warning(
        `${directory} is on ${inMemory}: all of it is gone with the next start of the machine, uploads too`,
        'set directory to a local disk',
      ),
    ]
  if (type === FUSE)
    return [
      info(
        `${directory} is on a file system in user space (FUSE)`,
        'set directory to a local disk, where this one is a network',
      ),
    ]
  if (type === OVERLAY)
    return [
      info(
        `${directory} is in the layer of a container, and gone with it`,
        'mount a volume at directory, where uploads are kept or fetching again is dear',
      ),
    ]
  return [ok('local')]
}

/** Free space and names, beside the bounds. @param used what the catalogue counts, where it can be read */
export async function spaceFindings(
  { machine, settings }: Subject,
  directory: string,
  used: { readonly bytes?: number; readonly names?: number } | undefined,
): Promise<readonly Finding[]> {
  const { ok, warning, error } = findings('space')
  const { bavail, bsize, files, ffree } = await machine.fileSystem(directory)
  const free = bavail * bsize
  const { maxBytes, maxNames } = settings.disk
  if (free < LEAST_BYTES || (files > 0 && ffree < LEAST_INODES))
    return [
      error(
        `the disk of ${directory} is full: ${sizeText(free)} and ${ffree} files are left`,
        'make room on it, or set disk.maxBytes lower; until then nothing new is stored',
      ),
    ]
  if (used === undefined) return [ok(`${sizeText(free)} are free`)]
  const { bytes = 0, names = 0 } = used
  const wanted = Math.max(0, maxBytes - bytes) + RESERVE
  if (free < wanted)
    return [
      warning(
        `disk.maxBytes is ${sizeText(maxBytes)}, of which ${sizeText(bytes)} are used, and ${sizeText(free)} are free: the disk is full before the bound is reached`,
        `set disk.maxBytes to ${Math.floor((bytes + free * 0.9) / 1024 ** 2)} MiB or less, or make room`,
      ),
    ]
  if (files > 0 && ffree < Math.max(0, maxNames - names) * INODES_PER_NAME)
    return [
      warning(
        `disk.maxNames is ${maxNames}, of which ${names} are used, and the file system has room for ${ffree} files, about ${INODES_PER_NAME} a name`,
        `set disk.maxNames to ${names + Math.floor((ffree * 0.9) / INODES_PER_NAME)} or less`,
      ),
    ]
  return [ok(`${sizeText(free)} are free, for ${sizeText(Math.max(0, maxBytes - bytes))} that may come`)]
}
