/**
 * Uploads: files that are stored until they are removed, with an index in SQLite. An upload that was acknowledged is on
 * disk; one that was removed stays so. The index is read back from the names of the files when it is lost.
 */
import { createHmac } from 'node:crypto'
import { isCorrupt } from '../database/sqlite.js'
import { digestOf } from '../model/digest.js'
import type { Entry } from '../model/entry.js'
import { ArtworkError } from '../model/failure.js'
import type { Logger } from '../model/logger.js'
import type { EntryStore, NewEntry } from '../store/ports.js'
import { createUploadConnection, type UploadConnection } from './upload-connection.js'
import { factsOf, readUploadKey, toEntry, type Upload } from './upload-entries.js'
import { createUploadFiles, type UploadFiles } from './upload-files.js'

/** Numbers of the uploads of a directory. */
export interface UploadStats {
  /** How many there are. */
  readonly images: number
  /** Their bytes. */
  readonly bytes: number
  /** Copies that were gone or damaged when they were read, since start. */
  readonly badCopies: number
}

/** How to open a {@link createUploadStore}. */
export interface UploadStoreOptions {
  readonly directory: string
  /** Whether that is a folder of ours, whoever made it. @default false */
  readonly isOwn?: boolean
  /** Whether a kind of address is a namespace. */
  readonly owns: (kind: string) => boolean
  readonly logger: Logger
  readonly now: () => number
  /** Called with the keys that another process removed, and with those that were stored past the memory layer. */
  readonly onChange: (names: readonly string[] | 'all') => void
}

const NAMING_TRIES = 5

/** An upload with its bytes. */
interface Given {
  readonly upload: Upload
  readonly bytes: Buffer
}

/**
 * Writes files and names them, all or none; written again where another process deleted one meanwhile.
 * @throws what writing throws; what was written of them is deleted then
 */
async function persist(
  connection: Pick<UploadConnection, 'ready' | 'index'>,
  files: Pick<UploadFiles, 'write'>,
  given: readonly Given[],
): Promise<void> {
  await connection.ready()
  const uploads = given.map(({ upload }) => upload)
  for (let attempt = 0; attempt < NAMING_TRIES; attempt += 1) {
    const written: { readonly upload: Upload; readonly finish: () => Promise<void> }[] = []
    let isNamed = false
    try {
      for (const { upload, bytes } of given)
        written.push({ upload, finish: await files.write(upload, bytes) })
      const index = connection.index()
      if (index === undefined) throw new Error('the uploads are closed')
      isNamed = index.name(uploads)
    } finally {
      // Where it cannot be deleted, a later start finds it unfinished.
      for (const { upload, finish } of written) if (isNamed || unname(connection, upload)) await finish()
    }
    if (isNamed) return
  }
  throw new Error('the file vanished while it was named')
}

/** Deletes a file that was not acknowledged, unless an upload of the same bytes was. Answers whether that could be done. */
function unname({ index }: Pick<UploadConnection, 'index'>, upload: Upload): boolean {
  try {
    const open = index()
    open?.unname(upload)
    return open !== undefined
  } catch {
    return false
  }
}

/** Makes what a failed change ends with. */
const refusal =
  (logger: Logger) =>
  (cause: unknown): never => {
    logger.error({ err: cause }, 'artwork uploads: an image could not be kept')
    throw new ArtworkError('disk_write', 'the image could not be kept', { cause })
  }

/** An entry to be, and its bytes. */
export interface NewUpload {
  readonly fresh: NewEntry
  readonly bytes: Buffer
  /** When it was stored first, where that was elsewhere. @default now */
  readonly storedAt?: number
}

/** Makes what stores uploads. */
function createWriter(
  { now, logger }: Pick<UploadStoreOptions, 'now' | 'logger'>,
  connection: UploadConnection,
  files: UploadFiles,
) {
  let isFailing = false
  const writeAll = async (all: readonly NewUpload[]): Promise<readonly Entry[]> => {
    const given = all.map(({ fresh, bytes, storedAt = now() }) => {
      const facts = factsOf({ ...fresh, digest: fresh.digest ?? digestOf(bytes) })
      return { upload: { ...facts, size: bytes.length, storedAt }, bytes }
    })
    try {
      await persist(connection, files, given)
      isFailing = false
    } catch (error) {
      isFailing = true
      if (isCorrupt(error)) connection.onError(error)
      refusal(logger)(error)
    }
    return given.map(({ upload }) => toEntry(upload))
  }
  return {
    /** Shown until a write succeeds. */
    isFailing: (): boolean => isFailing,
    writeAll,
    write: async (fresh: NewEntry, bytes: Buffer): Promise<Entry> => {
      const [entry] = await writeAll([{ fresh, bytes }])
      return entry ?? refusal(logger)(new Error('nothing was written'))
    },
  }
}

/** See the top of the file. */
export type UploadStore = ReturnType<typeof createUploadStore>

/** Opens the uploads of a directory. One that cannot be used is tried again at every upload. */
export function createUploadStore(options: UploadStoreOptions) {
  const { directory, isOwn = false, owns, logger, now, onChange } = options
  const files = createUploadFiles(directory)
  const connection = createUploadConnection({ directory, isOwn, files, logger, onChange })
  const { orDefault } = connection
  const writer = createWriter(options, connection, files)
  let badCopies = 0
  const get = (key: string): Upload | undefined => {
    const { namespace, id } = readUploadKey(key)
    return orDefault((index) => index.get(namespace, id), undefined)
  }
  const isIncomplete = (): boolean => orDefault((index) => index.isIncomplete(), false)
  const refuse = refusal(logger)
  const lookup = async (key: string): Promise<Entry | undefined> => {
    const known = get(key)
    if (known !== undefined || !isIncomplete()) return known && toEntry(known)
    const { namespace, id } = readUploadKey(key)
    const found = await files.find(namespace, id)
    const bytes = found && (await files.read(found).catch(() => undefined))
    return found && bytes && toEntry({ ...found, size: bytes.length, storedAt: now() })
  }
  const read: EntryStore['read'] = async (entry) => {
    try {
      const bytes = await files.read(factsOf(entry))
      if (bytes !== undefined) return { bytes, from: 'disk' }
      // It may have been removed meanwhile: then nothing is wrong.
      if (get(entry.key) === undefined) return undefined
    } catch (error) {
      logger.error({ err: error, image: entry.key }, 'artwork uploads: a copy could not be read')
      return undefined
    }
    badCopies += 1
    logger.error({ image: entry.key }, 'artwork uploads: a copy is gone or damaged')
    return undefined
  }
  const remove = async (key: string): Promise<boolean> => {
    await connection.ready().catch(refuse)
    const upload = get(key)
    const index = connection.index()
    if (upload === undefined || index === undefined) return false
    try {
      if (!index.remove(upload.namespace, upload.id)) return false
      index.erase(upload)
    } catch (error) {
      refuse(error)
    }
    return true
  }

  return {
    /** Whether a key of the store is that of an upload. */
    isUpload: (key: string): boolean => {
      const { namespace } = readUploadKey(key)
      return namespace !== '' && owns(namespace)
    },
    /**
     * The id that bytes have in a namespace, for all who know the key and for nobody else: 32 hex digits.
     * @param how what is done to the bytes; the same bytes processed otherwise are another image
     * @throws ArtworkError `disk_write` (503) when the directory cannot be used
     */
    idOf: async (namespace: string, how: string, bytes: Uint8Array): Promise<string> => {
      const secret = await connection.ready().catch(refuse)
      const mac = createHmac('sha256', secret).update(`${namespace}\0${how}\0`).update(bytes)
      return mac.digest('hex').slice(0, 32)
    },
    find: (key: string): Entry | undefined => {
      const upload = get(key)
      return upload && toEntry(upload)
    },
    /** As `find`, also while a lost index is read back. */
    lookup,
    /** The bytes of an upload, verified; undefined where they are gone or damaged. */
    read,
    /**
     * Stores an upload. When this resolves it is on disk, and stays until it is removed.
     * @throws ArtworkError `disk_write` (503); nothing is changed then
     */
    write: writer.write,
    /** Stores uploads, all of them or none. @throws ArtworkError `disk_write` (503); nothing is changed then */
    writeAll: async (all: readonly NewUpload[]): Promise<readonly Entry[]> => {
      const entries = await writer.writeAll(all)
      onChange(entries.map((entry) => entry.key))
      return entries
    },
    /** Sees to it that an upload that is stored already is where it has to be before it is acknowledged. @throws ArtworkError */
    confirm: async (_entry: Entry, _bytes: Buffer): Promise<void> => {},
    /** Writes what became known of an upload. */
    update: (entry: Entry): void => orDefault((index) => index.update(entry), undefined),
    /** Removes an upload. Answers whether it was there. @throws ArtworkError `disk_write` (503) */
    delete: remove,
    /** Uploads of a namespace in the order of their ids. @param after only those after this id */
    list: async (namespace: string, after: string, limit: number): Promise<readonly Upload[]> =>
      orDefault((index) => index.list(namespace, after, limit), []),
    stats: (): UploadStats => {
      const totals = orDefault((index) => index.totals(), undefined)
      return { images: totals?.images ?? 0, bytes: totals?.bytes ?? 0, badCopies }
    },
    /** Opens the directory. @throws Error where it cannot be used */
    ready: async (): Promise<void> => void (await connection.ready()),
    /** Whether the index can be read: what it does not have is not there then. */
    isOpen: (): boolean => connection.index() !== undefined,
    /** Resolves when the index has every file. @throws ArtworkError `disk_write` (503) when it cannot be read */
    complete: async (): Promise<void> => {
      await connection.ready().catch(refuse)
      if (isIncomplete()) await connection.recovered()
      if (connection.index() === undefined) refuse(new Error('the index cannot be asked'))
    },
    /** Whether something can be stored now. */
    canWrite: async (): Promise<boolean> => {
      try {
        await connection.ready()
        await files.probe()
        return !writer.isFailing()
      } catch {
        return false
      }
    },
    close: connection.close,
  }
}
