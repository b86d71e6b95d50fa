/**
 * One exported file, whole or not at all: a hard link to the store's own content where the file system allows it, a
 * copy elsewhere, written beside its place and renamed into it. Files that are not ours are left alone.
 */
import { randomUUID } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { link, lstat, open, readdir, readFile, rename, rmdir, unlink } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { makeFolder, OPEN_FILE, OPEN_FOLDER, setMode } from '../database/files.js'
import { digestOf } from '../model/digest.js'
import type { Entry } from '../model/entry.js'
import { codeOf } from '../model/failure.js'
import type { Store } from '../store/ports.js'
import type { ExportFile, ExportRecords } from './export-records.js'

/** The hidden directory, which media servers pass over. */
export const HIDDEN = '.images'

/** What became of a file. */
export type Placed = 'linked' | 'copied' | 'current' | 'removed' | 'absent' | 'foreign'

/** What placing a file needs. */
export interface PlaceParts {
  readonly store: Pick<Store, 'read' | 'fileOf'>
  readonly records: ExportRecords
  /** Permissions of the files, which are copies then; undefined: hard links, that everybody may read. */
  readonly mode?: number | undefined
}

/** No process takes longer than this to put a file in its place, ms. */
const TEMPORARY_MAX_AGE = 3_600_000
const TEMPORARY = /^\.artwork-[0-9a-f-]{36}\.tmp$/
/** Errors after which a copy can be made where a hard link cannot. */
const NO_LINK = ['EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'ENOENT']

/** Where a file of the export is. */
export const pathOf = ({ root, path }: ExportFile): string => join(root, HIDDEN, path)

/** A name for a file in this folder that is not whole yet. */
export const temporaryIn = (folder: string): string => join(folder, `.artwork-${randomUUID()}.tmp`)

/** Stats of a path, links not followed; undefined where there is nothing. */
export const statOf = (path: string): Promise<BigIntStats | undefined> =>
  lstat(path, { bigint: true }).catch((error) => {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return undefined
    throw error
  })

/**
 * Checks the folders from the root down to one, and makes those that are missing where that is wanted.
 * @throws Error for one that is a link or a file: nothing outside the export is touched
 */
export async function checkFolders(root: string, folder: string, isMade = false): Promise<void> {
  // Media servers read it, whatever the umask.
  if (isMade) makeFolder(root, OPEN_FOLDER)
  let at = root
  for (const part of folder.slice(root.length).split(sep).filter(Boolean)) {
    at = join(at, part)
    const stats = await statOf(at)
    if (stats === undefined && !isMade) return
    if (stats === undefined) makeFolder(at, OPEN_FOLDER)
    else if (!stats.isDirectory()) throw new Error(`${part} in the export is no directory`)
  }
}

/** Removes a file if it is ours, and the folders that are empty then. */
export async function removeFile(records: ExportRecords, file: ExportFile): Promise<Placed> {
  const target = pathOf(file)
  const stats = await statOf(target)
  const isOurs = stats !== undefined && records.find(file, stats) !== undefined
  if (isOurs) await unlink(target)
  records.remove(file)
  if (!isOurs) return 'absent'
  const top = join(file.root, HIDDEN)
  let isEmpty = true
  for (let folder = dirname(target); isEmpty && folder !== top; folder = dirname(folder))
    isEmpty = await rmdir(folder).then(
      () => true,
      () => false,
    )
  return 'removed'
}

/** Puts the file of an entry in its place. */
export async function placeFile(
  parts: PlaceParts,
  file: ExportFile,
  entry: Entry,
  overwrite: boolean,
): Promise<Placed> {
  const target = pathOf(file)
  const existing = await statOf(target)
  const settled = existing && (await checkExisting(parts, file, entry, existing, overwrite))
  if (settled !== undefined) return settled
  // The read checks the bytes against their digest before they are published.
  const content = await parts.store.read(entry)
  if (content === undefined) return removeFile(parts.records, file)
  await checkFolders(file.root, dirname(target), true)
  const temporary = temporaryIn(dirname(target))
  try {
    const placed = await writeTemporary(parts, entry, content, temporary)
    return await publish(parts.records, file, entry, { temporary, placed, isNew: existing === undefined })
  } finally {
    // Renaming a link over another one of the same file leaves both.
    await unlink(temporary).catch(() => {})
  }
}

/** The outcome where the file that is there stays; undefined where it is to be replaced. */
async function checkExisting(
  { store, records, mode }: PlaceParts,
  file: ExportFile,
  entry: Entry,
  existing: BigIntStats,
  overwrite: boolean,
): Promise<'current' | 'foreign' | undefined> {
  const content = store.fileOf(entry)
  const source = content === undefined ? undefined : await statOf(content)
  const isLinked = source !== undefined && source.ino === existing.ino && source.dev === existing.dev
  if (isLinked && mode === undefined) {
    setMode(pathOf(file), OPEN_FILE)
    records.put(file, existing, entry.digest, true)
    return 'current'
  }
  const row = records.find(file, existing)
  const hasMode = mode === undefined || (existing.mode & 0o777n) === BigInt(mode)
  if (row?.digest === entry.digest && row.isLink === 0 && hasMode) return 'current'
  return existing.isDirectory() || (row === undefined && !isLinked && !overwrite) ? 'foreign' : undefined
}

/** Makes the file under its temporary name, as a link if possible. */
async function writeTemporary(
  { store, mode }: PlaceParts,
  entry: Entry,
  content: { readonly bytes: Buffer; readonly from: string },
  temporary: string,
): Promise<'linked' | 'copied'> {
  const source = mode === undefined ? store.fileOf(entry) : undefined
  if (source !== undefined && (await tryLink(source, temporary))) {
    // An earlier version stored content with the umask's permissions.
    setMode(temporary, OPEN_FILE)
    // What came from memory does not prove that the file is sound.
    if (content.from !== 'memory' || digestOf(await readFile(temporary)) === entry.digest) return 'linked'
    await unlink(temporary)
  }
  await copy(temporary, content.bytes, entry.storedAt, mode ?? OPEN_FILE)
  return 'copied'
}

/** Records the temporary file as ours and moves it to its place. Another process may do the same at the same time. */
async function publish(
  records: ExportRecords,
  file: ExportFile,
  { digest }: Entry,
  made: { readonly temporary: string; readonly placed: 'linked' | 'copied'; readonly isNew: boolean },
): Promise<Placed> {
  const { temporary, placed, isNew } = made
  const target = pathOf(file)
  const stats = await lstat(temporary, { bigint: true })
  records.put(file, stats, digest, placed === 'linked')
  if (!isNew) await rename(temporary, target)
  // Where nothing was, nothing is replaced: another program may have put a file there meanwhile.
  else if (!(await publishNew(temporary, target))) {
    const now = await statOf(target)
    const isOurs = now !== undefined && (now.ino === stats.ino || records.find(file, now)?.digest === digest)
    if (!isOurs) records.removeOne(file, stats)
    return isOurs ? 'current' : 'foreign'
  }
  // Where another process of ours has replaced it meanwhile, that one's row counts.
  if ((await statOf(target))?.ino === stats.ino) {
    records.put(file, stats, digest, placed === 'linked')
    records.removeOthers(file, stats)
  }
  return placed
}

/** Makes a hard link; false where that cannot be done here. */
async function tryLink(content: string, to: string): Promise<boolean> {
  try {
    await link(content, to)
    return true
  } catch (error) {
    if (NO_LINK.includes(codeOf(error))) return false
    throw error
  }
}

/** Gives a file its name. Answers false where there is a file of that name. */
async function publishNew(temporary: string, target: string): Promise<boolean> {
  try {
    await link(temporary, target)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    if (!NO_LINK.includes(codeOf(error))) throw error
    await rename(temporary, target)
    return true
  }
}

/** Writes a copy with the picture's own time, and waits until it is on the disk. */
async function copy(to: string, bytes: Buffer, at: number, mode: number): Promise<void> {
  const file = await open(to, 'wx', mode)
  try {
    await file.chmod(mode)
    await file.writeFile(bytes)
    await file.utimes(at / 1000, at / 1000)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Removes temporary files that a killed export left; a new one may be another process's. */
export async function removeTemporary(folder: string): Promise<void> {
  const isOld = async (path: string) =>
    Date.now() - Number((await statOf(path))?.ctimeMs ?? 0) > TEMPORARY_MAX_AGE
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await removeTemporary(path)
    else if (entry.isFile() && TEMPORARY.test(entry.name) && (await isOld(path)))
      await unlink(path).catch(() => {})
  }
}
