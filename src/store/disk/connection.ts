/** The catalogue of a directory as an open file: opened anew when the file was lost or is damaged. */
import { makeOwnFolder } from '../../database/files.js'
import { inodeOf, isCorrupt } from '../../database/sqlite.js'
import type { Logger } from '../../model/logger.js'
import { type Catalogue, openCatalogue } from './catalogue.js'
import type { Contents } from './contents.js'

/** A catalogue that cannot be opened is not tried more often, ms. */
const REOPEN_EVERY = 1000

/** What {@link createConnection} works with. */
export interface ConnectionParts {
  /** Of the catalogue. */
  readonly file: string
  readonly contentsFolder: string
  readonly contents: Pick<Contents, 'unlink' | 'isEmpty'>
  readonly now: () => number
  readonly logger: Logger
  /** Called when another file is in use: what was known is not true any more. */
  onReopen(): void
}

/** See the top of the file. */
export type Connection = ReturnType<typeof createConnection>

/** Opens the catalogue. @throws what SQLite throws when its file cannot be used */
export function createConnection(parts: ConnectionParts) {
  const { file, contentsFolder, contents, now, logger, onReopen } = parts
  const tell = (message: string): void => logger.warn({}, `artwork catalogue: ${message}`)
  const open = (damaged?: number): Catalogue => {
    makeOwnFolder(contentsFolder)
    const openOnce = (inode: number | undefined) =>
      openCatalogue(file, { unlink: contents.unlink, now, tell }, inode)
    let opened: Catalogue
    try {
      opened = openOnce(damaged)
    } catch (error) {
      if (!isCorrupt(error)) throw error
      opened = openOnce(inodeOf(file))
    }
    if (!opened.isComplete() && contents.isEmpty()) opened.setComplete()
    return opened
  }
  let current = open()
  let closed = false
  let reopenAfter = 0

  const reopen = (isDamaged: boolean): void => {
    if (performance.now() < reopenAfter) return
    reopenAfter = performance.now() + REOPEN_EVERY
    logger.error({}, `artwork catalogue: ${isDamaged ? 'damaged' : 'lost'}; it is rebuilt`)
    try {
      // Where another process has put a new file in its place already, that one is ours too.
      const next = open(isDamaged ? current.inode : undefined)
      const before = current
      current = next
      before.close()
      onReopen()
    } catch (error) {
      logger.error({ err: error }, 'artwork catalogue: it cannot be opened anew')
    }
  }
  /** A damaged file is replaced. */
  const reopenDamaged = (error: unknown): void => {
    if (isCorrupt(error) && !closed) reopen(true)
  }
  const onError = (what: string, error: unknown): void => {
    if (closed) return
    logger.error({ err: error }, `artwork store: ${what} failed`)
    reopenDamaged(error)
  }
  return {
    catalogue: (): Catalogue => current,
    isCurrent: (one: Catalogue): boolean => one === current && inodeOf(file) === one.inode,
    /** Opens the file anew where it was lost. */
    reopenLost: (): void => {
      if (inodeOf(file) !== current.inode) reopen(false)
    },
    reopenDamaged,
    onError,
    /** Asks the catalogue; a failing database is a miss, never a crash. */
    orDefault: <T>(what: string, ask: (catalogue: Catalogue) => T, fallback: T): T => {
      try {
        return ask(current)
      } catch (error) {
        onError(what, error)
        return fallback
      }
    },
    isClosed: (): boolean => closed,
    /** From here on nothing is reported or opened anew. */
    markClosed: (): void => {
      closed = true
    },
  }
}
