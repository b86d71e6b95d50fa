/**
 * Files of uploads, named as {@link fileName} says. A file is there whole or not at all. While it is written it has a first
 * name in the folder `coming`, which is removed when the index has it: what is left there was never acknowledged.
 */
import { randomBytes } from 'node:crypto'
import { constants, existsSync, unlinkSync } from 'node:fs'
import {
  link,
  lstat,
  open,
  opendir,
  readdir,
  readFile,
  rename,
  rm,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { clearOdd, makeFolder } from '../database/files.js'
import { digestOf } from '../model/digest.js'
import { codeOf } from '../model/failure.js'
import {
  fileName,
  folderOf,
  namespaceOf,
  readFileName,
  shortNamespace,
  type UploadFacts,
} from './upload-names.js'

/** An unfinished file of this age was left by a process that died, ms. */
const ABANDONED_AFTER = 3_600_000
const KEY_BYTES = 32

const isMissing = (error: unknown): boolean => codeOf(error) === 'ENOENT'
const randomName = (): string => randomBytes(8).toString('hex')

/** Waits until a folder's own list of files is on disk. Where folders cannot be opened, the system does not need it. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined)
  try {
    await handle?.sync().catch(() => {})
  } finally {
    await handle?.close()
  }
}

/** Makes a folder that is still there after a power failure. */
async function makeDurableFolder(folder: string): Promise<void> {
  const made: string[] = []
  for (let at = folder; !existsSync(at) && dirname(at) !== at; at = dirname(at)) made.push(at)
  if (!makeFolder(folder)) return
  for (const at of made) await syncFolder(dirname(at))
}

/** Writes a new file and waits until its bytes are on disk. @throws what the file system throws */
async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'wx', 0o600)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Reads a regular file; a pipe in its place is not waited for. @throws what the file system throws */
async function readRegular(path: string): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    if (!(await file.stat()).isFile()) throw new Error(`${path} is no file`)
    return await file.readFile()
  } finally {
    await file.close()
  }
}

/** Reads the key of a directory, or makes it: the first process that does wins. */
async function readOrMakeKey(directory: string): Promise<Buffer> {
  const file = join(directory, 'key')
  await makeDurableFolder(directory)
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const found = await readRegular(file).catch((error) => {
      if (isMissing(error)) return undefined
      throw error
    })
    if (found?.length === KEY_BYTES) return found
    if (found !== undefined) throw new Error('the key of uploads is damaged')
    const fresh = `${file}.${randomName()}`
    await writeDurably(fresh, randomBytes(KEY_BYTES))
    await link(fresh, file).catch((error) => {
      if (codeOf(error) !== 'EEXIST') throw error
    })
    await unlink(fresh)
    await syncFolder(directory)
  }
  return readRegular(file)
}

/** See the top of the file. */
export type UploadFiles = ReturnType<typeof createUploadFiles>

/** Makes the verbs for a directory; nothing is read or made before the first. */
export function createUploadFiles(directory: string) {
  const root = join(directory, 'files')
  const unfinished = join(directory, 'coming')
  const shardOf = (namespace: string, id: string): string => join(root, folderOf(namespace), id.slice(0, 2))
  const pathOf = (facts: UploadFacts): string => join(shardOf(facts.namespace, facts.id), fileName(facts))
  /** The namespaces that there are files of. */
  const namespaces = async (): Promise<readonly string[]> =>
    (await readdir(root).catch(() => [])).flatMap((folder) => namespaceOf(folder) ?? [])

  return {
    /** The key that ids are made with: 32 bytes, made at the first start, the same for all processes. */
    key: (): Promise<Buffer> => readOrMakeKey(directory),
    /**
     * Writes a file and waits until it is on disk.
     * @returns to be called once the index names it; until then a start takes the file for abandoned
     */
    write: async (facts: UploadFacts, bytes: Buffer): Promise<() => Promise<void>> => {
      const target = pathOf(facts)
      await makeDurableFolder(unfinished)
      await makeDurableFolder(dirname(target))
      const first = join(unfinished, `${shortNamespace(facts.namespace)}~${fileName(facts)}~${randomName()}`)
      const second = `${first}.link`
      try {
        await writeDurably(first, bytes)
        await link(first, second)
        clearOdd(target)
        await rename(second, target)
        await syncFolder(dirname(target))
      } catch (error) {
        for (const path of [first, second]) await rm(path, { force: true }).catch(() => {})
        throw error
      }
      return () => unlink(first).catch(() => {})
    },
    /** The bytes of a file, or undefined where they are gone or are not those. @throws what reading throws */
    read: async (facts: UploadFacts): Promise<Buffer | undefined> => {
      const path = pathOf(facts)
      try {
        if (!(await lstat(path)).isFile()) return undefined
        const bytes = await readFile(path)
        return digestOf(bytes) === facts.digest ? bytes : undefined
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    },
    /** Whether the file is there. Synchronous, as deleting it is: both happen inside a transaction of the index. */
    exists: (facts: UploadFacts): boolean => existsSync(pathOf(facts)),
    /** Deletes a file. @throws what unlinking throws */
    unlink: (facts: UploadFacts): void => {
      try {
        unlinkSync(pathOf(facts))
      } catch (error) {
        if (!isMissing(error)) throw error
      }
    },
    /** What is there of an id, by the names of files alone. */
    find: async (namespace: string, id: string): Promise<UploadFacts | undefined> => {
      const names = await readdir(shardOf(namespace, id)).catch(() => [])
      return names.map((name) => readFileName(namespace, name)).find((facts) => facts?.id === id)
    },
    /** Everything that is there, by the names of files, with its size and when it came. */
    walk: async function* (): AsyncGenerator<
      UploadFacts & { readonly size: number; readonly storedAt: number }
    > {
      for (const namespace of await namespaces()) {
        const folder = join(root, folderOf(namespace))
        for (const shard of await readdir(folder).catch(() => []))
          for (const name of await readdir(join(folder, shard)).catch(() => [])) {
            const facts = readFileName(namespace, name)
            const stats = facts && (await lstat(pathOf(facts)).catch(() => undefined))
            if (facts && stats?.isFile())
              yield { ...facts, size: stats.size, storedAt: Math.round(stats.mtimeMs) }
          }
      }
    },
    /**
     * Removes what processes left that died while they wrote.
     * @param unname deletes a file, unless the index names it
     */
    removeUnfinished: async (unname: (facts: UploadFacts) => void): Promise<void> => {
      const folder = await opendir(unfinished).catch(() => undefined)
      let known: readonly string[] | undefined
      for await (const { name } of folder ?? []) {
        const path = join(unfinished, name)
        const stats = await lstat(path).catch(() => undefined)
        if (stats === undefined || Date.now() - stats.mtimeMs < ABANDONED_AFTER) continue
        const [short = '', file = ''] = name.split('~')
        known ??= await namespaces()
        const namespace = known.find((one) => shortNamespace(one) === short)
        const facts = namespace === undefined ? undefined : readFileName(namespace, file)
        if (facts !== undefined) unname(facts)
        await unlink(path).catch(() => {})
      }
    },
    /** Writes a file where uploads are written, and deletes it. @throws what writing throws */
    probe: async (): Promise<void> => {
      await makeDurableFolder(unfinished)
      const file = join(unfinished, `.probe-${randomName()}`)
      try {
        await writeFile(file, 'x', { flag: 'wx' })
      } finally {
        await unlink(file).catch(() => {})
      }
    },
  }
}
