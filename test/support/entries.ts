/** Entries, contents that say what they are, and what a directory of the store should look like. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { keep } from '#src/database/sqlite.js'
import { createContents } from '#src/store/disk/contents.js'
import type { NewEntry } from '#src/store/ports.js'

/** Makes entries that are dated by a clock. */
export const entriesBy =
  (clock: { readonly now: number }) =>
  (name: string, changes: Partial<NewEntry> = {}): NewEntry => ({
    key: name,
    role: 'original',
    type: 'image/png',
    width: 1,
    height: 1,
    storedAt: clock.now,
    validatedAt: clock.now,
    freshnessLifetime: 1000,
    ...changes,
  })

/** The bytes of a content: its text, a line end, and filling; of a size that follows from the text. */
export function bytesOf(content: string, maxSize: number): Buffer {
  const seed = createHash('sha256').update(content).digest()
  const size = Math.max(content.length + 1, seed.readUInt32BE(0) % maxSize)
  const bytes = Buffer.alloc(size, seed)
  bytes.write(`${content}\n`)
  return bytes
}

/** The text of a content. @throws Error when the filling is not its own */
export function contentIn(bytes: Buffer): string {
  const end = bytes.indexOf(10)
  const content = bytes.subarray(0, end).toString()
  const seed = createHash('sha256').update(content).digest()
  const filling = Buffer.alloc(bytes.length, seed)
  if (end < 0 || !bytes.subarray(end + 1).equals(filling.subarray(end + 1)))
    throw new Error(`torn bytes: ${content.slice(0, 80)}`)
  return content
}

const filesBelow = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((file) => !file.isDirectory())
        .map((file) => join(file.parentPath, file.name))
    : []

/** Sum of the sizes of all content and temporary files, bytes: what the bound is about. */
export function bytesOnDisk(directory: string): number {
  const store = join(directory, 'store-v2')
  return [...filesBelow(join(store, 'content-v2')), ...filesBelow(join(store, 'tmp'))]
    .map((file) => statSync(file, { throwIfNoEntry: false })?.size ?? 0)
    .reduce((sum, size) => sum + size, 0)
}

/** How many index entries there are. */
export const indexEntriesOnDisk = (directory: string): number =>
  filesBelow(join(directory, 'store-v2', 'index-v5')).length

/** A row of the catalogue, as far as the tests look at it. */
export interface NameRow {
  readonly name: string
  readonly role: string
  readonly digest: string
  readonly size: number
  readonly held: number
  readonly checkedAt: number
  readonly freshFor: number
  readonly slot: number
  readonly indexBytes: number
  readonly original: string | null
  readonly dependents: number
  readonly madeFrom: string | null
  readonly sourceUrl: string | null
  readonly ownerKind: string | null
  readonly ownerId: string | null
  readonly usedAt: number
}

/** Every row of a catalogue, digests in hex. */
export function rowsOf(directory: string): NameRow[] {
  const db = keep(new Database(join(directory, 'catalogue-v2.sqlite')))
  const rows = keep(
    db.prepare<[], NameRow>(
      'SELECT *, lower(hex(digest)) AS digest, lower(hex(madeFrom)) AS madeFrom FROM names',
    ),
  ).all()
  db.close()
  return rows
}

/** Where files, rows and totals of a store at rest do not agree; nothing where they do. */
export function differences(directory: string): string[] {
  const store = join(directory, 'store-v2')
  const bytes = createContents(store, () => 'x')
  const db = keep(new Database(join(directory, 'catalogue-v2.sqlite')))
  const all = <T>(text: string): T[] => keep(db.prepare<[], T>(text)).all()
  const rows = rowsOf(directory)
  const totals = new Map(
    all<{ key: string; value: number }>('SELECT * FROM totals').map(({ key, value }) => [key, value]),
  )
  const undone = all<{ name: string }>('SELECT name FROM changing UNION ALL SELECT key FROM leases')
  db.close()

  const found: string[] = undone.map(({ name }) => `under way: ${name}`)
  const compare = (what: string, is: readonly string[], should: readonly string[]): void => {
    const [there, wanted] = [new Set(is), new Set(should)]
    for (const one of there) if (!wanted.has(one)) found.push(`${what}: ${one} is left over`)
    for (const one of wanted) if (!there.has(one)) found.push(`${what}: ${one} is missing`)
  }
  const held = rows.filter((row) => row.held === 1)
  compare(
    'contents',
    filesBelow(join(store, 'content-v2')),
    held.map((row) => bytes.contentPath(row.digest)),
  )
  compare(
    'index',
    filesBelow(join(store, 'index-v5')),
    held.map((row) => bytes.bucketPath(row.name, row.slot)),
  )
  compare('temporary', filesBelow(join(store, 'tmp')), [])
  const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0)
  const expect = (key: string, value: number): void => {
    if ((totals.get(key) ?? 0) !== value) found.push(`total of ${key}: ${totals.get(key)} for ${value}`)
  }
  expect('bytes', sum(new Map(held.map((row) => [row.digest, row.size])).values()))
  expect('names', rows.length)
  expect('indexBytes', sum(rows.map((row) => row.indexBytes)))
  expect('unread', 0)
  for (const role of ['original', 'rendition', 'artwork'])
    expect(role, rows.filter((row) => row.role === role).length)
  const madeFrom = new Map<string | null, number>()
  for (const { original } of rows) madeFrom.set(original, (madeFrom.get(original) ?? 0) + 1)
  for (const row of rows) {
    const dependents = madeFrom.get(row.name) ?? 0
    if (dependents !== row.dependents)
      found.push(`${row.name}: ${row.dependents} dependents for ${dependents}`)
    const cost =
      row.held === 1
        ? bytes.cost({
            entry: {
              ...row,
              key: row.name,
              validatedAt: row.checkedAt,
              freshnessLifetime: row.freshFor,
              isStored: true,
            } as never,
            slot: row.slot,
          })
        : 0
    if (cost !== row.indexBytes) found.push(`${row.name}: index ${row.indexBytes} for ${cost}`)
  }
  return found
}
