/**
 * Files of uploads. A file's name tells all that is known of it, so that a lost index can be read back from the
 * names alone: `{namespace}/{shard}/{id}.{digest}.{width}x{height}.{extension}`. A file is there whole or not at all.
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
import { extensionOf, formatOfExtension, kindOfType, typeOf } from '../model/media-type.js'

/** What a file's name tells. Sides in pixels. */
export interface UploadFacts {
  readonly namespace: string
  readonly id: string
  /** SHA-256 of the bytes, hex. */
  readonly digest: string
  readonly type: string
  readonly width: number
  readonly height: number
}

const FILE = /^([0-9a-f]{32})\.([0-9a-f]{64})\.(\d{1,9})x(\d{1,9})\.([a-z]{3,5})$/
/** Namespaces that are their own folder's name: of these no two meet where case does not count. */
const PLAIN = /^[a-z][a-z0-9_-]{0,63}$/
/** Names that Windows keeps for devices. */
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)$/
/** What begins the name of a folder that is written otherwise than its namespace, and each sign that is. */
const MARK = '='

/** The folder of a namespace: on no system do two namespaces have the same, or one that cannot be made. */
export function folderOf(namespace: string): string {
  if (PLAIN.test(namespace) && !(process.platform === 'win32' && DEVICE.test(namespace))) return namespace
  const written = namespace.replace(/[A-Z.]/g, (sign) => MARK + (sign === '.' ? '0' : sign.toLowerCase()))
  return MARK + written
}
/** The namespace of a folder; undefined for one that is none's. */
export function namespaceOf(folder: string): string | undefined {
  const namespace = folder.startsWith(MARK)
    ? folder.slice(1).replace(/=([a-z0])/g, (_all, sign: string) => (sign === '0' ? '.' : sign.toUpperCase()))
    : folder
  return folderOf(namespace) === folder ? namespace : undefined
}
/** A namespace in the name of a file that is coming, which has no room for a long one. */
const noteOf = (namespace: string): string =>
  PLAIN.test(namespace) ? namespace : MARK + digestOf(Buffer.from(namespace)).slice(0, 16)
/** A file that is still coming after this time was left by a process that died, ms. */
const LEFT_AFTER = 3_600_000

/** Whether an error says that something is not there. */
export const isMissing = (error: unknown): boolean => codeOf(error) === 'ENOENT'

const fileName = (facts: UploadFacts): string => {
  const kind = kindOfType(facts.type)
  const extension = kind === undefined ? 'bin' : extensionOf(kind)
  return `${facts.id}.${facts.digest}.${facts.width}x${facts.height}.${extension}`
}

function readFileName(namespace: string, name: string): UploadFacts | undefined {
  const [, id, digest, width, height, extension] = FILE.exec(name) ?? []
  const format = formatOfExtension(extension ?? '')
  if (id === undefined || digest === undefined || format === undefined) return undefined
  return { namespace, id, digest, type: typeOf(format), width: Number(width), height: Number(height) }
}

/** Waits until a folder's own list of files is on disk. Where folders cannot be opened, the system does not need it. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined)
  try {
    await handle?.sync().catch(() => {})
  } finally {
    await handle?.close()
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

/** See the top of the file. */
export type UploadFiles = ReturnType<typeof createUploadFiles>

/** Makes the verbs for a directory; nothing is read or made before the first. */
export function createUploadFiles(directory: string) {
  const root = join(directory, 'files')
  const coming = join(directory, 'coming')
  const shardOf = (namespace: string, id: string): string => join(root, folderOf(namespace), id.slice(0, 2))
  const pathOf = (facts: UploadFacts): string => join(shardOf(facts.namespace, facts.id), fileName(facts))
  /** Makes a folder, and sees to it that it is still there after the power failed. */
  const make = async (folder: string): Promise<void> => {
    const made: string[] = []
    for (let at = folder; !existsSync(at) && dirname(at) !== at; at = dirname(at)) made.push(at)
    if (!makeFolder(folder)) return
    for (const at of made) await syncFolder(dirname(at))
  }

  /** The namespaces that there are files of. */
  const namespaces = async (): Promise<readonly string[]> =>
    (await readdir(root).catch(() => [])).flatMap((folder) => namespaceOf(folder) ?? [])

  return {
    /** The key that ids are made with: 32 bytes, made at the first start, the same for all processes. */
    key: async (): Promise<Buffer> => {
      const file = join(directory, 'key')
      await make(directory)
      for (let attempt = 0; attempt < 2; attempt += 1) {
        const held = await readRegular(file).catch((error) => {
          if (isMissing(error)) return undefined
          throw error
        })
        if (held?.length === 32) return held
        if (held !== undefined) throw new Error('the key of uploads is damaged')
        const fresh = `${file}.${randomBytes(8).toString('hex')}`
        const handle = await open(fresh, 'wx', 0o600)
        await handle.writeFile(randomBytes(32))
        await handle.sync()
        await handle.close()
        // Whoever is first has made it.
        await link(fresh, file).catch((error) => {
          if (codeOf(error) !== 'EEXIST') throw error
        })
        await unlink(fresh)
        await syncFolder(directory)
      }
      return readRegular(file)
    },
    /**
     * Writes a file and waits until it is on disk.
     * @returns to be called once the index names it; until then a start takes the file for left over
     */
    write: async (facts: UploadFacts, bytes: Buffer): Promise<() => Promise<void>> => {
      const target = pathOf(facts)
      await make(coming)
      await make(dirname(target))
      const note = join(
        coming,
        `${noteOf(facts.namespace)}~${fileName(facts)}~${randomBytes(8).toString('hex')}`,
      )
      try {
        const handle = await open(note, 'wx', 0o600)
        try {
          await handle.writeFile(bytes)
          await handle.sync()
        } finally {
          await handle.close()
        }
        // The second name is the true one; the first tells, until the index has it, that nobody was promised anything.
        const second = `${note}.link`
        await link(note, second)
        clearOdd(target)
        await rename(second, target)
        await syncFolder(dirname(target))
      } catch (error) {
        await rm(note, { force: true }).catch(() => {})
        await rm(`${note}.link`, { force: true }).catch(() => {})
        throw error
      }
      return () => unlink(note).catch(() => {})
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
    /** Whether the file is there. Synchronous, as taking it away is: both happen inside a transaction of the index. */
    exists: (facts: UploadFacts): boolean => existsSync(pathOf(facts)),
    /** Takes a file away. @throws what unlinking throws */
    unlink: (facts: UploadFacts): void => {
      try {
        unlinkSync(pathOf(facts))
      } catch (error) {
        if (!isMissing(error)) throw error
      }
    },
    /** What is there of an id, by the names of files alone. */
    look: async (namespace: string, id: string): Promise<UploadFacts | undefined> => {
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
            const about = facts && (await lstat(pathOf(facts)).catch(() => undefined))
            if (facts && about?.isFile())
              yield { ...facts, size: about.size, storedAt: Math.round(about.mtimeMs) }
          }
      }
    },
    /**
     * Takes away what processes left that died while a file was coming.
     * @param forget takes a file away, unless the index names it
     */
    tidy: async (forget: (facts: UploadFacts) => void): Promise<void> => {
      const folder = await opendir(coming).catch(() => undefined)
      let known: readonly string[] | undefined
      for await (const { name } of folder ?? []) {
        const path = join(coming, name)
        const about = await lstat(path).catch(() => undefined)
        if (about === undefined || Date.now() - about.mtimeMs < LEFT_AFTER) continue
        const [note = '', file = ''] = name.split('~')
        known ??= await namespaces()
        const namespace = known.find((one) => noteOf(one) === note)
        const facts = namespace === undefined ? undefined : readFileName(namespace, file)
        if (facts !== undefined) forget(facts)
        await unlink(path).catch(() => {})
      }
    },
    /** Writes a file where uploads are written, and takes it away. @throws what writing throws */
    probe: async (): Promise<void> => {
      await make(coming)
      const file = join(coming, `.probe-${randomBytes(8).toString('hex')}`)
      try {
        await writeFile(file, 'x', { flag: 'wx' })
      } finally {
        await unlink(file).catch(() => {})
      }
    },
  }
}
