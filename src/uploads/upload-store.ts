/**
 * Uploads: files that are kept until they are removed, and an index of them in SQLite. An upload that was
 * acknowledged is on disk; one that was removed stays so. The index is read back from the names of the files
 * when it is lost.
 */
import { createHmac } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as breathe } from 'node:timers/promises'
import { makeFolder, makeOwnFolder } from '../database/files.js'
import { type Database, inodeOf, isCorrupt, keep, openDatabase, type Shape } from '../database/sqlite.js'
import { digestOf } from '../model/digest.js'
import { type Entry, imageKey, type Traits } from '../model/entry.js'
import { ArtworkError } from '../model/failure.js'
import { NEVER_STALE } from '../model/freshness.js'
import type { Logger } from '../model/logger.js'
import { FACTS, factsText, readFacts } from '../store/disk/names.js'
import type { Content, NewEntry } from '../store/ports.js'
import { createUploadFiles, type UploadFacts, type UploadFiles } from './upload-files.js'

/** What is known of an upload. Times in ms since the epoch, sizes in bytes, sides in pixels. */
export interface Upload extends UploadFacts {
  readonly size: number
  readonly storedAt: number
  /** Unknown until somebody asked. */
  readonly traits?: Traits | undefined
}

/** Numbers of the uploads of a directory. */
export interface UploadStats {
  readonly images: number
  readonly bytes: number
  /** Copies that were gone or damaged when they were read, since start. */
  readonly badCopies: number
}

const SHAPE: Shape = {
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

const POLL_EVERY = 500
/** Removals that other processes have not heard of yet are remembered up to this many. */
const REMOVALS_KEPT = 10_000
const BATCH = 200
const NAMING_TRIES = 5

interface Row extends Omit<Upload, 'digest' | 'traits'> {
  readonly digest: Buffer
  readonly facts: string | null
}

const COLUMNS = 'namespace, id, digest, size, type, width, height, storedAt'

/** The statements over an open index. */
function statements(db: Database, files: UploadFiles) {
  const sql = keep({
    db,
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
    going: db.prepare<[number], Row>(`SELECT ${COLUMNS}, facts FROM uploads WHERE going = 1 LIMIT ?`),
    any: db.prepare<[string, string], Row>(
      `SELECT ${COLUMNS}, facts FROM uploads WHERE namespace = ? AND id = ?`,
    ),
    amend: db.prepare<[string | null, string, string, Buffer]>(
      'UPDATE uploads SET facts = ? WHERE namespace = ? AND id = ? AND digest = ?',
    ),
    drop: db.prepare('DELETE FROM uploads WHERE namespace = ? AND id = ? AND digest = ? AND going = 1'),
    /** Names a file. A file is taken away under the same lock, so that what is named here is there. */
    name: db.transaction((upload: Upload): boolean => {
      if (!files.exists(upload)) return false
      const before = sql.any.get(upload.namespace, upload.id)
      if (before !== undefined && toUpload(before).digest !== upload.digest) files.unlink(toUpload(before))
      sql.insert.run(...toValues(upload))
      return true
    }),
    /** Takes a file away that nobody was promised. */
    unname: db.transaction((facts: UploadFacts): void => {
      const row = sql.any.get(facts.namespace, facts.id)
      if (row === undefined || toUpload(row).digest !== facts.digest) files.unlink(facts)
    }),
    /** Takes the file of a removed upload away, unless it was uploaded again meanwhile. */
    erase: db.transaction((upload: Upload): void => {
      const { changes } = sql.drop.run(upload.namespace, upload.id, Buffer.from(upload.digest, 'hex'))
      if (changes > 0) files.unlink(upload)
    }),
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
    remove: db.transaction((namespace: string, id: string): boolean => {
      if (sql.mark.run(namespace, id).changes === 0) return false
      sql.note.run(nameOf(namespace, id))
      sql.forget.run(REMOVALS_KEPT)
      return true
    }),
  })
  return sql
}

const nameOf = (namespace: string, id: string): string => imageKey(`${namespace}/original/${id}`)
const NAME = /^images\/([^/]+)\/original\/([^/]+)$/

const toUpload = ({ facts, ...row }: Row): Upload => {
  const digest = row.digest.toString('hex')
  const { traits } = readFacts(facts, digest)
  return { ...row, digest, ...(traits && { traits }) }
}
const toValues = (upload: Upload) =>
  [
    upload.namespace,
    upload.id,
    Buffer.from(upload.digest, 'hex'),
    upload.size,
    upload.type,
    upload.width,
    upload.height,
    upload.storedAt,
  ] as const
const factsOf = (name: string, entry: Pick<Entry, 'digest' | 'type' | 'width' | 'height'>): UploadFacts => {
  const [, namespace = '', id = ''] = NAME.exec(name) ?? []
  const { digest, type, width, height } = entry
  return { namespace, id, digest, type, width, height }
}
const toEntry = (upload: Upload): Entry =>
  Object.freeze({
    key: nameOf(upload.namespace, upload.id),
    role: 'original' as const,
    digest: upload.digest,
    size: upload.size,
    type: upload.type,
    width: upload.width,
    height: upload.height,
    storedAt: upload.storedAt,
    validatedAt: upload.storedAt,
    freshnessLifetime: NEVER_STALE,
    isStored: true,
    ...(upload.traits && { traits: upload.traits }),
  })

/** How a shelf is set up. */
export interface UploadStoreOptions {
  readonly directory: string
  /** Whether that is a folder of ours, whoever made it. @default false */
  readonly isOwn?: boolean
  /** Whether a kind of address is a namespace. */
  readonly owns: (kind: string) => boolean
  readonly logger: Logger
  readonly now: () => number
  /** Told the names that another process removed. */
  readonly onChange: (names: readonly string[] | 'all') => void
}

/** See the top of the file. */
export type UploadStore = ReturnType<typeof createUploadStore>

/** Opens the uploads of a directory. One that cannot be used is tried again at every upload. */
export function createUploadStore({
  directory,
  isOwn = false,
  owns,
  logger,
  now,
  onChange,
}: UploadStoreOptions) {
  const file = join(directory, 'uploads.db')
  const files = createUploadFiles(directory)
  let open: { sql: ReturnType<typeof statements>; inode: number | undefined; seen: number } | undefined
  let closed = false
  let badCopies = 0
  /** The last write failed: that is shown until one succeeds. */
  let isWriteFailing = false
  let key: Promise<Buffer> | undefined
  let tidied: Promise<void> = Promise.resolve()

  const start = (damaged?: number): void => {
    if (isOwn) makeOwnFolder(directory)
    else makeFolder(directory)
    const { db, inode } = openDatabase(file, damaged, SHAPE, (message) =>
      logger.warn({}, `artwork uploads: ${message}`),
    )
    const sql = statements(db, files)
    open = { sql, inode, seen: sql.last.get()?.seq ?? 0 }
    tidied = tidied.then(tidy).catch((error) => {
      if (!closed) logger.error({ err: error }, 'artwork uploads: tidying up failed')
    })
  }
  const ready = async (): Promise<void> => {
    key ??= files.key().catch((error) => {
      key = undefined
      throw error
    })
    await key
    if (open === undefined && !closed) start()
  }
  /** A damaged index is replaced, and read back from the files. */
  const trouble = (error: unknown): void => {
    logger.error({ err: error }, 'artwork uploads: the index failed')
    if (isCorrupt(error) && open !== undefined) reopen(open.inode)
  }
  const reopen = (damaged?: number): void => {
    try {
      open?.sql.db.close()
      open = undefined
      // The folder may be another one now, with a key of its own.
      key = undefined
      start(damaged)
    } catch (error) {
      logger.error({ err: error }, 'artwork uploads: the index cannot be opened anew')
    }
    onChange('all')
  }
  const safely = <T>(ask: (sql: ReturnType<typeof statements>) => T, otherwise: T): T => {
    if (open === undefined) return otherwise
    try {
      return ask(open.sql)
    } catch (error) {
      trouble(error)
      return otherwise
    }
  }
  /** Ends what was begun: reads a lost index back, takes files of removed uploads away, and what was left coming. */
  const tidy = async (): Promise<void> => {
    const sql = open?.sql
    if (sql === undefined || closed) return
    if (sql.incomplete.get() !== undefined) {
      const adopt = sql.db.transaction((some: readonly Upload[]) => {
        for (const one of some) sql.adopt.run(...toValues(one))
      })
      let some: Upload[] = []
      for await (const one of files.walk()) {
        if (closed) return
        some.push(one)
        if (some.length >= BATCH) adopt(some.splice(0))
      }
      adopt(some)
      some = []
      sql.complete.run()
    }
    await sweep(sql)
    await files.tidy((facts) => sql.unname.immediate(facts))
  }
  const sweep = async (sql: ReturnType<typeof statements>): Promise<void> => {
    for (;;) {
      const going = closed ? [] : sql.going.all(BATCH).map(toUpload)
      for (const upload of going) {
        sql.erase.immediate(upload)
        await breathe()
      }
      if (going.length < BATCH) return
    }
  }
  /** The index's inode; undefined where it cannot be told, whatever the reason. */
  const inodeNow = (): number | undefined => {
    try {
      return inodeOf(file)
    } catch {
      return undefined
    }
  }
  const poll = (): void => {
    if (open === undefined) {
      // It was lost, and may be back.
      if (existsSync(file)) start()
      return
    }
    if (inodeNow() !== open.inode) {
      reopen()
      return
    }
    const { seen } = open
    const news = safely((sql) => sql.since.all(seen), [])
    const last = news.at(-1)
    if (last === undefined || open === undefined) return
    open.seen = last.seq
    onChange(news.map(({ name }) => name))
  }
  const timer = setInterval(() => {
    try {
      poll()
    } catch (error) {
      logger.warn({ err: error }, 'artwork uploads: looking for changes failed')
    }
  }, POLL_EVERY).unref()

  const look = (namespace: string, id: string): Upload | undefined => {
    const row = safely((sql) => sql.get.get(namespace, id), undefined)
    return row === undefined ? undefined : toUpload(row)
  }
  const refuse = (cause: unknown): never => {
    logger.error({ err: cause }, 'artwork uploads: an image could not be kept')
    throw new ArtworkError('disk_write', 'the image could not be kept', { cause })
  }

  return {
    /** Whether a name of the store is that of an upload. */
    isUpload: (name: string): boolean => {
      const [, kind] = NAME.exec(name) ?? []
      return kind !== undefined && owns(kind)
    },
    /**
     * The id that bytes have in a namespace, for all who know the key and for nobody else: 32 hex digits.
     * @param how what is done to the bytes; the same bytes kept otherwise are another image
     * @throws ArtworkError `disk_write` (503) when the directory cannot be used
     */
    idOf: async (namespace: string, how: string, bytes: Uint8Array): Promise<string> => {
      await ready().catch(refuse)
      const secret = (await key) ?? refuse(new Error('no key'))
      const mac = createHmac('sha256', secret).update(`${namespace}\0${how}\0`).update(bytes)
      return mac.digest('hex').slice(0, 32)
    },
    find: (name: string): Entry | undefined => {
      const [, namespace = '', id = ''] = NAME.exec(name) ?? []
      const upload = look(namespace, id)
      return upload && toEntry(upload)
    },
    /** As `find`, also while a lost index is read back. */
    recall: async (name: string): Promise<Entry | undefined> => {
      const [, namespace = '', id = ''] = NAME.exec(name) ?? []
      const known = look(namespace, id)
      if (known !== undefined || !safely((sql) => sql.incomplete.get() !== undefined, false))
        return known && toEntry(known)
      const found = await files.look(namespace, id)
      const bytes = found && (await files.read(found).catch(() => undefined))
      return found && bytes && toEntry({ ...found, size: bytes.length, storedAt: now() })
    },
    /** The bytes of an upload, checked; undefined where they are gone or damaged. */
    read: async (entry: Entry): Promise<Content | undefined> => {
      try {
        const bytes = await files.read(factsOf(entry.key, entry))
        if (bytes !== undefined) return { bytes, from: 'disk' }
        // It may have been removed meanwhile: then nothing is wrong.
        const [, namespace = '', id = ''] = NAME.exec(entry.key) ?? []
        if (look(namespace, id) === undefined) return undefined
      } catch (error) {
        logger.error({ err: error, image: entry.key }, 'artwork uploads: a copy could not be read')
        return undefined
      }
      badCopies += 1
      logger.error({ image: entry.key }, 'artwork uploads: a copy is gone or damaged')
      return undefined
    },
    /**
     * Keeps an upload. When this resolves it is on disk, and stays until it is removed.
     * @throws ArtworkError `disk_write` (503); nothing is changed then
     */
    save: async (fresh: NewEntry, bytes: Buffer): Promise<Entry> => {
      const digest = digestOf(bytes)
      const upload: Upload = {
        ...factsOf(fresh.key, { ...fresh, digest }),
        size: bytes.length,
        storedAt: now(),
      }
      try {
        await ready()
        for (let attempt = 1; ; attempt += 1) {
          const finish = await files.write(upload, bytes)
          if (open === undefined) throw new Error('the uploads are closed')
          const isNamed = open.sql.name.immediate(upload)
          await finish()
          if (isNamed) break
          if (attempt === NAMING_TRIES) throw new Error('the file vanished while it was named')
        }
        isWriteFailing = false
      } catch (error) {
        isWriteFailing = true
        if (isCorrupt(error)) trouble(error)
        refuse(error)
      }
      return toEntry(upload)
    },
    /** Keeps what became known of an upload. */
    amend: (entry: Entry): void => {
      const [, namespace = '', id = ''] = NAME.exec(entry.key) ?? []
      safely(
        (sql) =>
          void sql.amend.run(factsText(entry) ?? null, namespace, id, Buffer.from(entry.digest, 'hex')),
        undefined,
      )
    },
    /** Takes an upload away. Answers whether it was there. @throws ArtworkError `disk_write` (503) */
    remove: async (name: string): Promise<boolean> => {
      const [, namespace = '', id = ''] = NAME.exec(name) ?? []
      await ready().catch(refuse)
      const upload = look(namespace, id)
      if (upload === undefined || open === undefined) return false
      const { sql } = open
      try {
        if (!sql.remove.immediate(namespace, id)) return false
        sql.erase.immediate(upload)
      } catch (error) {
        refuse(error)
      }
      return true
    },
    /** Uploads of a namespace in the order of their ids. @param after only those after this id */
    list: (namespace: string, after: string, limit: number): readonly Upload[] =>
      safely((sql) => sql.list.all(namespace, after, limit).map(toUpload), []),
    stats: (): UploadStats => {
      const totals = safely((sql) => sql.totals.get(), undefined)
      return { images: totals?.images ?? 0, bytes: totals?.bytes ?? 0, badCopies }
    },
    /** Opens the directory. @throws Error where it cannot be used */
    ready,
    /** Whether the index can be asked: what it does not have is not there then. */
    isOpen: (): boolean => open !== undefined,
    /** Resolves when the index has every file. @throws ArtworkError `disk_write` (503) when it cannot be asked */
    complete: async (): Promise<void> => {
      await ready().catch(refuse)
      if (safely((sql) => sql.incomplete.get() !== undefined, false)) await tidied
      if (open === undefined) refuse(new Error('the index cannot be asked'))
    },
    /** Whether something can be kept now. */
    canWrite: async (): Promise<boolean> => {
      try {
        await ready()
        await files.probe()
        return !isWriteFailing
      } catch {
        return false
      }
    },
    /** Resolves when what an earlier process left undone has been tidied up. */
    settled: () => tidied,
    close: async (): Promise<void> => {
      if (closed) return
      closed = true
      clearInterval(timer)
      await tidied
      open?.sql.db.close()
      open = undefined
    },
  }
}
