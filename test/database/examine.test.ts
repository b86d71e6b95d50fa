/** How a database file is looked at without being touched, also while others write. */
import { execFileSync, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { examineDatabase, isLocked } from '#src/database/examine.js'
import type { Shape } from '#src/database/sqlite.js'
import { atEnd, temporaryFolder } from '../support/toolkit.js'

const SHAPE: Shape = {
  version: 2,
  synchronous: 'NORMAL',
  schema: '',
  migrations: { 1: '' },
  checks: ['SELECT * FROM things LIMIT 1'],
}
/** A process that writes all the time: many small commits, with the log beginning anew after every few. */
const WRITER = `
  const Database = require(${JSON.stringify(createRequire(import.meta.url).resolve('better-sqlite3'))})
  const db = new Database(process.argv[2])
  db.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 20; CREATE TABLE things (id INTEGER PRIMARY KEY, text TEXT); CREATE INDEX by_text ON things (text); PRAGMA user_version = 2')
  const add = db.prepare('INSERT OR REPLACE INTO things VALUES (?, ?)')
  let count = 0
  const work = () => {
    for (let n = 0; n < 20; n += 1) add.run(count++ % 3000, String(Math.random()).repeat(20))
    setTimeout(work, 2)
  }
  work()
  process.send('ready')
`

test('while another process writes all the time, no copy is ever damaged, and nothing is left', async () => {
  const folder = await temporaryFolder()
  const script = join(folder, 'writer.cjs')
  writeFileSync(script, WRITER)
  const file = join(folder, 'things.db')
  const child = fork(script, [file])
  atEnd(async () => child.kill('SIGKILL'))
  await once(child, 'message')
  const scratch = join(folder, 'scratch')
  mkdirSync(scratch)
  const states: string[] = []
  let most = 0
  for (let time = 0; time < 60; time += 1) {
    const { state, answers } = examineDatabase(file, SHAPE, scratch, (db) => {
      const row = db.prepare<[], { count: number }>('SELECT count(*) AS count FROM things').get()
      return row?.count ?? 0
    })
    states.push(state)
    most = Math.max(most, answers ?? 0)
    expect(readdirSync(scratch)).toEqual([])
  }
  expect(states.filter((state) => state !== 'sound' && state !== 'skipped')).toEqual([])
  expect(states.filter((state) => state === 'sound').length).toBeGreaterThan(20)
  expect(most).toBeGreaterThan(100)
  expect(readdirSync(folder).sort()).toEqual([
    'scratch',
    'things.db',
    'things.db-shm',
    'things.db-wal',
    'writer.cjs',
  ])
  // What a killed process left in its log is read, and stays there.
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(examineDatabase(file, SHAPE, scratch, () => 1)).toMatchObject({ state: 'sound', answers: 1 })
  expect(readdirSync(folder)).toContain('things.db-wal')
  expect(isLocked(file)).toBe(false)
})

test('whatever stands in the place of a database is named, and never waited for', async () => {
  const folder = await temporaryFolder()
  const scratch = join(folder, 'scratch')
  mkdirSync(scratch)
  const file = join(folder, 'things.db')
  const look = () => examineDatabase(file, SHAPE, scratch, () => 1).state
  const write = (sql: string): void => {
    const db = new Database(file)
    db.exec(sql)
    db.close()
  }
  expect(look()).toBe('missing')
  writeFileSync(file, '')
  expect(look()).toBe('empty')
  write('CREATE TABLE things (id INTEGER PRIMARY KEY, text TEXT); PRAGMA user_version = 2')
  expect(look()).toBe('sound')
  execFileSync('mkfifo', [`${file}-wal`])
  expect(look()).toBe('sound')
  rmSync(`${file}-wal`)
  writeFileSync(`${file}-wal`, randomBytes(5000))
  expect(look()).toBe('sound')
  rmSync(`${file}-wal`)
  for (const [version, state] of Object.entries({ 1: 'earlier', 3: 'newer', '-2147483648': 'unknown' })) {
    write(`PRAGMA user_version = ${version}`)
    expect(look(), version).toBe(state)
  }
  for (const size of [3000, 700, 99]) {
    truncateSync(file, size)
    expect(['damaged', 'unread']).toContain(look())
  }
  writeFileSync(file, randomBytes(20_000))
  expect(look()).toBe('damaged')
  rmSync(file)
  execFileSync('mkfifo', [file])
  expect(look()).toBe('odd')
  expect(readdirSync(scratch)).toEqual([])
})
