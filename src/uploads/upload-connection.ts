/** The directory of uploads as it is in use: key and open index, opened anew when the index was lost or is damaged. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, makeOwnFolder } from '../database/files.js'
import { inodeOf, isCorrupt } from '../database/sqlite.js'
import type { Logger } from '../model/logger.js'
import type { UploadFiles } from './upload-files.js'
import { openUploadIndex, type UploadIndex } from './upload-index.js'

const POLL_EVERY = 500

/** What {@link createUploadConnection} works with. */
export interface UploadConnectionParts {
  readonly directory: string
  /** Whether that is a folder of ours, whoever made it. */
  readonly isOwn: boolean
  readonly files: UploadFiles
  readonly logger: Logger
  /** Called with the keys that another process removed. */
  readonly onChange: (names: readonly string[] | 'all') => void
}

/** See the top of the file. */
export type UploadConnection = ReturnType<typeof createUploadConnection>

/** Makes the connection; nothing is opened before `ready`. */
export function createUploadConnection(parts: UploadConnectionParts) {
  const { directory, isOwn, files, logger, onChange } = parts
  const file = join(directory, 'uploads.db')
  let index: UploadIndex | undefined
  let closed = false
  let key: Promise<Buffer> | undefined
  let recovered: Promise<void> = Promise.resolve()

  const start = (damaged?: number): void => {
    if (isOwn) makeOwnFolder(directory)
    else makeFolder(directory)
    const opened = openUploadIndex(
      file,
      files,
      (message) => logger.warn({}, `artwork uploads: ${message}`),
      damaged,
    )
    index = opened
    recovered = recovered
      .then(() => (closed ? undefined : index?.recover(() => closed)))
      .catch((error) => {
        if (!closed) logger.error({ err: error }, 'artwork uploads: tidying up failed')
      })
  }
  const reopen = (damaged?: number): void => {
    try {
      index?.close()
      index = undefined
      // The folder may be another one now, with a key of its own.
      key = undefined
      start(damaged)
    } catch (error) {
      logger.error({ err: error }, 'artwork uploads: the index cannot be opened anew')
    }
    onChange('all')
  }
  /** A damaged index is replaced, and read back from the files. */
  const onError = (error: unknown): void => {
    logger.error({ err: error }, 'artwork uploads: the index failed')
    if (isCorrupt(error) && index !== undefined) reopen(index.inode)
  }
  const orDefault = <T>(ask: (index: UploadIndex) => T, fallback: T): T => {
    if (index === undefined) return fallback
    try {
      return ask(index)
    } catch (error) {
      onError(error)
      return fallback
    }
  }
  /** The index's inode; undefined where it cannot be read, whatever the reason. */
  const inodeNow = (): number | undefined => {
    try {
      return inodeOf(file)
    } catch {
      return undefined
    }
  }
  const poll = (): void => {
    if (index === undefined) {
      // It was lost, and may be back.
      if (existsSync(file)) start()
    } else if (inodeNow() !== index.inode) reopen()
    else {
      const removed = orDefault((current) => current.removed(), [])
      if (removed.length > 0) onChange(removed)
    }
  }
  const timer = setInterval(() => {
    try {
      poll()
    } catch (error) {
      logger.warn({ err: error }, 'artwork uploads: looking for changes failed')
    }
  }, POLL_EVERY).unref()

  return {
    /** Opens the directory. @throws Error where it cannot be used. @returns the key that ids are made with */
    ready: async (): Promise<Buffer> => {
      key ??= files.key().catch((error) => {
        key = undefined
        throw error
      })
      const secret = await key
      if (index === undefined && !closed) start()
      return secret
    },
    index: (): UploadIndex | undefined => index,
    onError,
    /** Asks the index; one that fails or is not open is a miss. */
    orDefault,
    /** Resolves when what an earlier process left undone is finished. */
    recovered: (): Promise<void> => recovered,
    close: async (): Promise<void> => {
      if (closed) return
      closed = true
      clearInterval(timer)
      await recovered
      index?.close()
      index = undefined
    },
  }
}
