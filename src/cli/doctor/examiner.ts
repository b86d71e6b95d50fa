/**
 * The child process that looks into databases, so that none that takes long, and no driver that crashes, takes the command
 * along. Started by examination, never imported.
 */
import { statSync } from 'node:fs'
import { type Examined, examineDatabase, isLocked, sqliteVersion } from '../../database/examine.js'
import { type Database, keep } from '../../database/sqlite.js'
import { SHAPE as JOBS } from '../../jobs/sqlite/tables.js'
import { createContents } from '../../store/disk/contents.js'
import { CATALOGUE } from '../../store/disk/schema.js'
import { createUploadFiles } from '../../uploads/upload-files.js'
import { UPLOADS } from '../../uploads/upload-index.js'
import type { Answer, Answers, DatabaseName, Order } from './orders.js'

/** How many of what a database names are looked for. */
const SAMPLE = 200

const numberOf = (db: Database, sql: string): number | undefined =>
  keep(db.prepare<[], { value: number | null }>(sql)).get()?.value ?? undefined
const newestOf = (db: Database, sql: string): Pick<Answers, 'newest'> => {
  const newest = numberOf(db, sql)
  return newest === undefined ? {} : { newest }
}

/** Something that a database names, and whether it is there. */
interface Named {
  readonly id: string
  isThere(): boolean
  /** Whether a later copy of the database names it still. */
  isNamed(db: Database): boolean
}

/** What the catalogue says is stored: some from all of it. */
function contentsIn(db: Database, stored: string): readonly Named[] {
  const contents = createContents(stored, () => '')
  const count = numberOf(db, 'SELECT count(*) AS value FROM names WHERE held = 1') ?? 0
  const rows = keep(
    db.prepare<[number, number], { name: string; digest: Buffer; size: number }>(
      'SELECT name, digest, size FROM names WHERE held = 1 AND id % ? = 0 LIMIT ?',
    ),
  ).all(Math.max(1, Math.floor(count / SAMPLE)), SAMPLE)
  return rows.map(({ name, digest, size }) => ({
    id: name,
    isThere: () => contents.sizeOf(digest.toString('hex')) === size,
    isNamed: (later) =>
      keep(later.prepare('SELECT 1 FROM names WHERE held = 1 AND name = ? AND digest = ?')).get(
        name,
        digest,
      ) !== undefined,
  }))
}

/** Uploads of which the index says that they are stored: some from all of it. */
function uploadsIn(db: Database, stored: string): readonly Named[] {
  const files = createUploadFiles(stored)
  const rows = keep(
    db.prepare<
      [number],
      { namespace: string; id: string; digest: Buffer; type: string; width: number; height: number }
    >(
      'SELECT namespace, id, digest, type, width, height FROM uploads WHERE going = 0 ORDER BY random() LIMIT ?',
    ),
  ).all(SAMPLE)
  return rows.map(({ digest, ...row }) => ({
    id: `${row.namespace}/${row.id}`,
    isThere: () => files.exists({ ...row, digest: digest.toString('hex') }),
    isNamed: (later) =>
      keep(later.prepare('SELECT 1 FROM uploads WHERE going = 0 AND namespace = ? AND id = ?')).get(
        row.namespace,
        row.id,
      ) !== undefined,
  }))
}

const READERS: Readonly<
  Record<
    DatabaseName,
    {
      readonly shape: typeof CATALOGUE
      read(db: Database): Answers
      named?(db: Database, stored: string): readonly Named[]
    }
  >
> = {
  catalogue: {
    shape: CATALOGUE,
    read: (db) => ({
      ...newestOf(db, 'SELECT max(storedAt) AS value FROM names'),
      bytes: numberOf(db, "SELECT value FROM totals WHERE key = 'bytes'") ?? 0,
      names: numberOf(db, "SELECT value FROM totals WHERE key = 'names'") ?? 0,
    }),
    named: contentsIn,
  },
  uploads: {
    shape: UPLOADS,
    read: (db) => newestOf(db, 'SELECT max(storedAt) AS value FROM uploads'),
    named: uploadsIn,
  },
  jobs: {
    shape: JOBS,
    read: (db) => ({
      ...newestOf(db, 'SELECT createdAt AS value FROM jobs ORDER BY id DESC LIMIT 1'),
      isPaused: numberOf(db, "SELECT value FROM flags WHERE key = 'paused'") === 1,
    }),
  },
}

/** What is missing is asked for again, by a later copy: a picture may be evicted at any moment. */
function lookInto({ name, file, stored, scratch }: Extract<Order, { kind: 'database' }>): Examined<Answers> {
  const { shape, read, named } = READERS[name]
  let missing: readonly Named[] = []
  const found = examineDatabase(file, shape, scratch, (db): Answers => {
    const sample = named?.(db, stored) ?? []
    missing = sample.filter(({ isThere }) => !isThere())
    return { ...read(db), sample: { looked: sample.length, missing: [] } }
  })
  const { answers } = found
  if (answers?.sample === undefined || missing.length === 0) return found
  const again = examineDatabase(file, shape, scratch, (db) =>
    missing.filter(({ isNamed, isThere }) => isNamed(db) && !isThere()).map(({ id }) => id),
  )
  return { ...found, answers: { ...answers, sample: { ...answers.sample, missing: again.answers ?? [] } } }
}

/** A file that goes away meanwhile is held by nobody. */
function isHeld(file: string): boolean {
  try {
    return isLocked(file)
  } catch (error) {
    if (statSync(file, { throwIfNoEntry: false }) === undefined) return false
    throw error
  }
}

function answer(order: Order): Answer {
  try {
    if (order.kind === 'driver') return { value: sqliteVersion() }
    if (order.kind === 'locks') return { value: order.files.map(isHeld) }
    return { value: lookInto(order) }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

process.on('message', (order: Order) => void process.send?.(answer(order)))
process.on('disconnect', () => process.exit())
