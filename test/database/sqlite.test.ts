/** How a database file of ours is opened: what a version changed is brought on, all of it or nothing. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { createGroup, openDatabase, type Shape } from '#src/database/sqlite.js'
import { temporaryFolder } from '../support/toolkit.js'

const FIRST: Shape = {
  version: 1,
  synchronous: 'NORMAL',
  schema: 'CREATE TABLE things (name TEXT NOT NULL) STRICT; PRAGMA user_version = 1',
  checks: ['SELECT * FROM things LIMIT 1'],
}
const rename = 'ALTER TABLE things RENAME COLUMN name TO title'
const THIRD: Shape = {
  ...FIRST,
  version: 3,
  schema: 'CREATE TABLE things (title TEXT NOT NULL, size INTEGER) STRICT; PRAGMA user_version = 3',
  migrations: { 1: rename, 2: 'ALTER TABLE things ADD COLUMN size INTEGER' },
  checks: ['SELECT title, size FROM things LIMIT 1'],
}

/** A file of the first version, with a row. */
async function ofFirst(): Promise<string> {
  const file = join(await temporaryFolder(), 'things.db')
  const { db } = openDatabase(file, undefined, FIRST)
  db.exec("INSERT INTO things VALUES ('one')")
  db.close()
  return file
}
const look = (file: string): { version: unknown; rows: unknown[] } => {
  const db = new Database(file, { readonly: true })
  const found = {
    version: db.pragma('user_version', { simple: true }),
    rows: db.prepare('SELECT * FROM things').all(),
  }
  db.close()
  return found
}

describe('a schema changes by migrations (pictures 0)', () => {
  test('each step from the version that is found, and the rows are there', async () => {
    const file = await ofFirst()
    openDatabase(file, undefined, THIRD).db.close()
    expect(look(file)).toEqual({ version: 3, rows: [{ title: 'one', size: null }] })
    // What is brought on is opened as it is.
    openDatabase(file, undefined, THIRD).db.close()
    expect(look(file).version).toBe(3)
  })
  test('a step that fails leaves everything as it was', async () => {
    const file = await ofFirst()
    const broken = { ...THIRD, migrations: { 1: rename, 2: 'ALTER TABLE nothing ADD COLUMN size INTEGER' } }
    expect(() => openDatabase(file, undefined, broken)).toThrow(/nothing/)
    expect(look(file)).toEqual({ version: 1, rows: [{ name: 'one' }] })
  })
  test('what is only added leaves the version, and is added once', async () => {
    const file = await ofFirst()
    const added: Shape = {
      ...FIRST,
      additions: {
        columns: [{ table: 'things', column: 'facts', type: 'TEXT' }],
        tables: 'CREATE TABLE IF NOT EXISTS more (name TEXT) STRICT',
      },
    }
    for (let times = 0; times < 2; times += 1) openDatabase(file, undefined, added).db.close()
    expect(look(file)).toEqual({ version: 1, rows: [{ name: 'one', facts: null }] })
    // An earlier version goes on with it.
    openDatabase(file, undefined, FIRST).db.close()
    expect(look(file).rows).toEqual([{ name: 'one', facts: null }])
  })
  test('a later version is refused, with both numbers, and the file stays as it is', async () => {
    const file = await ofFirst()
    openDatabase(file, undefined, THIRD).db.close()
    expect(() => openDatabase(file, undefined, FIRST)).toThrow(/schema 3.*knows 1.*left as it is/)
    expect(look(file)).toEqual({ version: 3, rows: [{ title: 'one', size: null }] })
  })
  test('an unknown earlier version is put aside with a warning, and never replaced by another', async () => {
    const file = await ofFirst()
    const warnings: string[] = []
    const { migrations: _none, ...alone } = THIRD
    for (let times = 0; times < 2; times += 1) {
      openDatabase(file, undefined, alone, (message) => void warnings.push(message)).db.close()
      const db = new Database(file)
      db.pragma('user_version = 1')
      db.close()
    }
    openDatabase(file, undefined, alone).db.close()
    expect(warnings).toHaveLength(2)
    expect(warnings[0]).toMatch(/unknown schema 1.*put aside as .*things\.db\.schema-1$/)
    expect(look(`${file}.schema-1`).rows).toEqual([{ name: 'one' }])
    expect(existsSync(`${file}.schema-1.1`)).toBe(true)
  })
})

describe('changes that come together', () => {
  const openGroup = async () => {
    const file = join(await temporaryFolder(), 'things.db')
    const { db } = openDatabase(file, undefined, FIRST)
    const insert = db.prepare<[string]>('INSERT INTO things VALUES (?)')
    const names = () =>
      db
        .prepare<[], { name: string }>('SELECT name FROM things')
        .all()
        .map(({ name }) => name)
    return { db, group: createGroup(db), add: (name: string) => insert.run(name).changes, names }
  }

  test('are one transaction, and each caller has its own answer', async () => {
    const { db, group, add, names } = await openGroup()
    const answers = await Promise.all([
      group(() => add('one')),
      group(() => {
        expect(db.inTransaction).toBe(true)
        return names()
      }),
    ])
    expect(answers).toEqual([1, ['one']])
    expect(db.inTransaction).toBe(false)
    db.close()
  })
  test('one that throws takes back its own changes only', async () => {
    const { db, group, add, names } = await openGroup()
    const answers = await Promise.allSettled([
      group(() => add('before')),
      group(() => {
        add('taken back')
        throw new Error('not this one')
      }),
      group(() => add('after')),
    ])
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(names()).toEqual(['before', 'after'])
    db.close()
  })
  test('none is written where the whole is taken back, nor by itself afterwards', async () => {
    const { db, group, add, names } = await openGroup()
    const answers = await Promise.allSettled([
      group(() => add('before')),
      group(() => {
        // What SQLite does when the disk is full.
        db.exec('ROLLBACK')
        throw new Error('disk full')
      }),
      group(() => add('after')),
    ])
    expect(answers.map((one) => one.status === 'rejected' && one.reason.message)).toEqual(
      Array(3).fill('disk full'),
    )
    expect(names()).toEqual([])
    expect(await group(() => add('later'))).toBe(1)
    db.close()
  })
  test('a closed database is told to all of them', async () => {
    const { db, group, add } = await openGroup()
    const both = Promise.allSettled([group(() => add('one')), group(() => add('two'))])
    db.close()
    expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  })
})
