/** The index of uploads in SQLite. It can be read back from the names of the files. */
import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { type Database, immediate, keep, openDatabase, type Shape } from '../database/sqlite.js'
import type { Entry } from '../model/entry.js'
import { FACTS, factsText, readFacts } from '../model/entry-facts.js'
import { readUploadKey, type Upload, uploadKey } from './upload-entries.js'
import type { UploadFiles } from './upload-files.js'
import type { UploadFacts } from './upload-names.js'

/** The index of uploads: a commit waits for the disk. */
export const UPLOADS: Shape = {
  version: 1,
  synchronous: 'FULL',
  schema: `
    CREATE TABLE uploads (
      namespace TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL, type TEXT NOT NULL,
      width INTEGER NOT NULL, height INTEGER NOT NULL, storedAt INTEGER NOT NULL,
      -- Removed: the file is being taken away.
      going INTEGER NOT NULL DEFAULT 0,
      PRIMARY KEY (namespace, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX uploads_going ON uploads (namespace, id) WHERE going = 1;
    CREATE TABLE removals (seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL) STRICT;
    CREATE TABLE facts (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO facts VALUES ('incomplete', 1);
    PRAGMA user_version = 1;
  `,
  additions: { columns: [{ table: 'uploads', column: FACTS, type: 'TEXT' }], tables: '' },
  checks: ['SELECT * FROM uploads LIMIT 1; SELECT max(seq) FROM removals; SELECT * FROM facts'],
}

/** Removals that other processes have not seen yet are recorded up to this many. */
const MAX_REMOVALS = 10_000
const BATCH = 200

interface Row extends Omit<Upload, 'digest' | 'traits'> {
  readonly digest: Buffer
  readonly facts: string | null
}

const COLUMNS = 'namespace, id, digest, size, type, width, height, storedAt'

const toBlob = (digest: string): Buffer => Buffer.from(digest, 'hex')
const toUpload = ({ facts, ...row }: Row): Upload => {
  const digest = row.digest.toString('hex')
  const { traits } = readFacts(facts, digest)
  return { ...row, digest, ...(traits && { traits }) }
}
const toValues = ({ namespace, id, digest, size, type, width, height, storedAt }: Upload) =>
  [namespace, id, toBlob(digest), size, type, width, height, storedAt] as const

/** The statements of an index. */
const prepareStatements = (db: Database) =>
  keep({
    get: db.prepare<[string, string], Row>(
      `SELECT ${COLUMNS}, facts FROM uploads WHERE namespace = ? AND id = ? AND going = 0`,
    ),
    list: db.prepare<[string, string, number], Row>(
      `SELECT ${COLUMNS}, facts FROM uploads WHERE namespace = ? AND id > ? AND going = 0 ORDER BY id LIMIT ?`,
    ),
    // What was removed comes back when it is uploaded again, and what was lost is replaced, however it is encoded now.
    insert: db.prepare(
      `INSERT INTO uploads (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET going = 0,
       digest = excluded.digest, size = excluded.size, type = excluded.type, width = excluded.width,
       height = excluded.height, storedAt = excluded.storedAt`,
    ),
    adopt: db.prepare(`INSERT OR IGNORE INTO uploads (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`),
    mark: db.prepare('UPDATE uploads SET going = 1 WHERE namespace = ? AND id = ? AND going = 0'),
    deleting: db.prepare<[number], Row>(`SELECT ${COLUMNS}, facts FROM uploads WHERE going = 1 LIMIT ?`),
    any: db.prepare<[string, string], Row>(
      `SELECT ${COLUMNS}, facts FROM uploads WHERE namespace = ? AND id = ?`,
    ),
    update: db.prepare<[string | null, string, string, Buffer]>(
      'UPDATE uploads SET facts = ? WHERE namespace = ? AND id = ? AND digest = ?',
    ),
    drop: db.prepare('DELETE FROM uploads WHERE namespace = ? AND id = ? AND digest = ? AND going = 1'),
    note: db.prepare('INSERT INTO removals (name) VALUES (?)'),
    forget: db.prepare('DELETE FROM removals WHERE seq <= (SELECT max(seq) FROM removals) - ?'),
    last: db.prepare<[], { seq: number | null }>('SELECT max(seq) AS seq FROM removals'),
    since: db.prepare<[number], { seq: number; name: string }>(
      'SELECT seq, name FROM removals WHERE seq > ?',
    ),
    totals: db.prepare<[], { images: number; bytes: number | null }>(
      'SELECT count(*) AS images, sum(size) AS bytes FROM uploads WHERE going = 0',
    ),
    incomplete: db.prepare<[], { value: number }>("SELECT value FROM facts WHERE key = 'incomplete'"),
    complete: db.prepare("DELETE FROM facts WHERE key = 'incomplete'"),
  })

/** See the top of the file. Every verb is synchronous but `recover`, and throws what SQLite throws. */
export type UploadIndex = ReturnType<typeof openUploadIndex>

/** Opens (or makes) the index. @param damaged the inode of a file that is to be replaced */
export function openUploadIndex(
  file: string,
  files: Pick<UploadFiles, 'exists' | 'unlink' | 'walk' | 'removeUnfinished'>,
  tell: (message: string) => void,
  damaged?: number,
) {
  const { db, inode } = openDatabase(file, damaged, UPLOADS, tell)
  const transaction = immediate(db)
  const sql = prepareStatements(db)
  let seen = sql.last.get()?.seq ?? 0
  const isIncomplete = (): boolean => sql.incomplete.get() !== undefined
  /** Deletes the file of a removed upload, unless it was uploaded again meanwhile. */
  const erase = transaction((upload: Upload): void => {
    const { changes } = sql.drop.run(upload.namespace, upload.id, toBlob(upload.digest))
    if (changes > 0) files.unlink(upload)
  })
  /** Deletes a file that was never acknowledged. */
  const unname = transaction((facts: UploadFacts): void => {
    const row = sql.any.get(facts.namespace, facts.id)
    if (row === undefined || toUpload(row).digest !== facts.digest) files.unlink(facts)
  })
  const adopt = db.transaction((batch: readonly Upload[]): void => {
    for (const upload of batch) sql.adopt.run(...toValues(upload))
  })
  /** Reads a lost index back from the files. Answers whether it came to the end. */
  const readBack = async (isClosed: () => boolean): Promise<boolean> => {
    const batch: Upload[] = []
    for await (const upload of files.walk()) {
      if (isClosed()) return false
      batch.push(upload)
      if (batch.length >= BATCH) adopt(batch.splice(0))
    }
    adopt(batch)
    sql.complete.run()
    return true
  }
  const eraseRemoved = async (isClosed: () => boolean): Promise<void> => {
    for (;;) {
      const batch = isClosed() ? [] : sql.deleting.all(BATCH).map(toUpload)
      for (const upload of batch) {
        erase(upload)
        await yieldToEventLoop()
      }
      if (batch.length < BATCH) return
    }
  }
  return {
    inode,
    get: (namespace: string, id: string): Upload | undefined => {
      const row = sql.get.get(namespace, id)
      return row === undefined ? undefined : toUpload(row)
    },
    /** Uploads of a namespace in the order of their ids. @param after only those after this id */
    list: (namespace: string, after: string, limit: number): readonly Upload[] =>
      sql.list.all(namespace, after, limit).map(toUpload),
    /**
     * Names files, if all of them are there: all or none. Files are deleted under the same lock, so that what is named here is
     * there.
     */
    name: transaction((uploads: readonly Upload[]): boolean => {
      if (!uploads.every(files.exists)) return false
      for (const upload of uploads) {
        const before = sql.any.get(upload.namespace, upload.id)
        if (before !== undefined && toUpload(before).digest !== upload.digest) files.unlink(toUpload(before))
        sql.insert.run(...toValues(upload))
      }
      return true
    }),
    unname,
    /** Writes what became known of an upload. */
    update: (entry: Entry): void => {
      const { namespace, id } = readUploadKey(entry.key)
      sql.update.run(factsText(entry) ?? null, namespace, id, toBlob(entry.digest))
    },
    /** Removes an upload; its file is deleted by `erase`. Answers whether it was there. */
    remove: transaction((namespace: string, id: string): boolean => {
      if (sql.mark.run(namespace, id).changes === 0) return false
      sql.note.run(uploadKey(namespace, id))
      sql.forget.run(MAX_REMOVALS)
      return true
    }),
    erase,
    /** Keys that were removed since the last call. */
    removed: (): readonly string[] => {
      const removals = sql.since.all(seen)
      seen = removals.at(-1)?.seq ?? seen
      return removals.map(({ name }) => name)
    },
    totals: () => sql.totals.get(),
    /** Whether not every file has been read back yet. */
    isIncomplete,
    /** Finishes what was begun: a lost index is read back, files of removed uploads and unfinished ones are deleted. */
    recover: async (isClosed: () => boolean): Promise<void> => {
      if (isIncomplete() && !(await readBack(isClosed))) return
      await eraseRemoved(isClosed)
      await files.removeUnfinished(unname)
    },
    close: (): void => void db.close(),
  }
}
