/** The record of which exported files are ours, in a database beside the catalogue: nothing else is ever replaced or removed. */
import type { BigIntStats } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from '../database/files.js'
import { type Database, inodeOf, keep, openDatabase, openInMemory, type Shape } from '../database/sqlite.js'
import type { Logger } from '../model/logger.js'

/** A file of the export: `path` below the hidden directory of `root`. */
export interface ExportFile {
  readonly root: string
  readonly path: string
}

const SHAPE: Shape = {
  version: 1,
  synchronous: 'NORMAL',
  schema: `
    -- A path has two rows while its file is being replaced.
    CREATE TABLE files (
      root TEXT NOT NULL, path TEXT NOT NULL, ino TEXT NOT NULL, digest TEXT NOT NULL, isLink INTEGER NOT NULL,
      size INTEGER NOT NULL, mtime INTEGER NOT NULL, PRIMARY KEY (root, path, ino)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;
  `,
  checks: ['SELECT * FROM files LIMIT 1'],
}

interface Row {
  readonly digest: string
  readonly isLink: 0 | 1
  readonly size: number
  readonly mtime: number
}

const PAGE = 200

/** See the top of the file. */
export type ExportRecords = ReturnType<typeof createExportRecords>

/** Makes the records. @param directory undefined: in memory. Nothing is opened before it is used. */
export function createExportRecords(directory: string | undefined, logger: Logger) {
  let opened: ReturnType<typeof statements> | undefined
  const open = (): ReturnType<typeof statements> => {
    if (directory === undefined) return statements(openInMemory(SHAPE), undefined)
    makeFolder(directory)
    const { db, inode } = openDatabase(join(directory, 'export.db'), undefined, SHAPE, (message) =>
      logger.warn({}, `artwork export: ${message}`),
    )
    return statements(db, inode)
  }
  const sql = (): ReturnType<typeof statements> => {
    // A database that was removed is made anew: files that it knew are not ours any more, and stay.
    if (
      opened === undefined ||
      (directory !== undefined && inodeOf(join(directory, 'export.db')) !== opened.inode)
    )
      opened = open()
    return opened
  }
  return {
    /** The row of a file that is ours and has not been changed by others since. */
    find: ({ root, path }: ExportFile, stats: BigIntStats): Row | undefined => {
      const row = sql().get.get(root, path, String(stats.ino))
      return row !== undefined && BigInt(row.size) === stats.size && BigInt(row.mtime) === stats.mtimeMs
        ? row
        : undefined
    },
    put: ({ root, path }: ExportFile, stats: BigIntStats, digest: string, isLink: boolean): void => {
      const { ino, size, mtimeMs } = stats
      const facts = { ino: String(ino), size: Number(size), mtime: Number(mtimeMs) }
      sql().put.run({ root, path, digest, isLink: Number(isLink), ...facts })
    },
    remove: ({ root, path }: ExportFile): void => void sql().remove.run(root, path),
    /** Removes the row of one inode. */
    removeOne: ({ root, path }: ExportFile, { ino }: BigIntStats): void =>
      void sql().removeOne.run(root, path, String(ino)),
    /** Removes the rows of all other inodes. */
    removeOthers: ({ root, path }: ExportFile, { ino }: BigIntStats): void =>
      void sql().removeOthers.run(root, path, String(ino)),
    /** Paths that are recorded, in pages. */
    *pages(root: string): Generator<readonly string[]> {
      for (let after: string | undefined = ''; after !== undefined; ) {
        const paths: readonly string[] = sql()
          .pathsAfter.all(root, after, PAGE)
          .map(({ path }) => path)
        yield paths
        after = paths.length < PAGE ? undefined : paths.at(-1)
      }
    },
    close: (): void => {
      opened?.db.close()
      opened = undefined
    },
  }
}

function statements(db: Database, inode: number | undefined) {
  return keep({
    db,
    inode,
    get: db.prepare<[string, string, string], Row>(
      'SELECT digest, isLink, size, mtime FROM files WHERE root = ? AND path = ? AND ino = ?',
    ),
    put: db.prepare(
      'INSERT OR REPLACE INTO files VALUES (@root, @path, @ino, @digest, @isLink, @size, @mtime)',
    ),
    remove: db.prepare<[string, string]>('DELETE FROM files WHERE root = ? AND path = ?'),
    removeOne: db.prepare<[string, string, string]>(
      'DELETE FROM files WHERE root = ? AND path = ? AND ino = ?',
    ),
    removeOthers: db.prepare<[string, string, string]>(
      'DELETE FROM files WHERE root = ? AND path = ? AND ino <> ?',
    ),
    pathsAfter: db.prepare<[string, string, number], { path: string }>(
      'SELECT DISTINCT path FROM files WHERE root = ? AND path > ? ORDER BY path LIMIT ?',
    ),
  })
}
