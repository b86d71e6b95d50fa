/** The directory in `test/fixtures` that an earlier version wrote: what is known to be in it, and how it is unpacked and asked. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { keep } from '#src/database/sqlite.js'
import { EARLIER, ORIGIN_PORT } from './options.js'

/** A request, and what was answered to it. */
export interface Answer {
  readonly path: string
  readonly accept?: string
  readonly status: number
  readonly type: string | null
  /** SHA-256 of the body, hex. */
  readonly digest: string
  readonly etag: string | null
  readonly vary: string | null
  readonly cacheControl: string | null
}

/** A kept picture, as the management API tells of it. */
export interface Listed {
  readonly name: string
  readonly role: 'original' | 'rendition' | 'artwork'
  readonly held: boolean
  readonly state: string
  readonly digest: string
  readonly entity?: { readonly kind: string; readonly id: string }
  readonly original?: string
  readonly stored_at: string
  readonly last_used: string
  readonly checked_at?: string
  readonly [fact: string]: unknown
}

/** A piece of work, as the management API tells of it. */
export interface ListedJob {
  readonly id: string
  readonly kind: string
  readonly state: string
  readonly [fact: string]: unknown
}

/** A row of a table; blobs in hex. */
export type TableRow = Readonly<Record<string, string | number | null>>

/** Everything that is known of the directory. */
export interface Expectation {
  readonly commit: string
  readonly origin: string
  /** The clock when it was closed, ms since the epoch. */
  readonly closedAt: number
  /** `PRAGMA user_version` of each database file. */
  readonly schemas: Readonly<Record<string, number>>
  readonly answers: readonly Answer[]
  readonly images: readonly Listed[]
  readonly artwork: readonly {
    readonly kind: string
    readonly id: string
    readonly path: string
    readonly url: string
  }[]
  readonly uploads: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>
  readonly jobs: readonly ListedJob[]
  readonly queue: Readonly<Record<string, unknown>>
  readonly failures: readonly Readonly<Record<string, unknown>>[]
  /** Tables, by the database file and their name. */
  readonly tables: Readonly<Record<string, readonly TableRow[]>>
}

const fixture = (ending: string): string =>
  fileURLToPath(new URL(`../../fixtures/directory-${EARLIER}.${ending}`, import.meta.url))

/** The database files of a directory. */
export const DATABASES = {
  catalogue: 'catalogue-v2.sqlite',
  jobs: 'jobs.db',
  uploads: join('uploads', 'uploads.db'),
  export: 'export.db',
} as const

/** What is known of the directory. */
export const readExpectation = (): Expectation => JSON.parse(readFileSync(fixture('json'), 'utf8'))

/** Unpacks the directory and the folder that its pictures were exported to. */
export function unpack(folder: string): { readonly directory: string; readonly library: string } {
  execFileSync('tar', ['-xzf', fixture('tgz'), '-C', folder])
  return { directory: join(folder, 'data'), library: join(folder, 'library') }
}

/** Asks a running app, and tells the answer. */
export async function ask(
  url: string,
  { path, accept }: Pick<Answer, 'path' | 'accept'>,
  signal?: AbortSignal,
): Promise<Answer> {
  const headers = accept === undefined ? {} : { Accept: accept }
  const response = await fetch(url + path, { headers, redirect: 'manual', ...(signal && { signal }) })
  const body = Buffer.from(await response.arrayBuffer())
  return {
    path,
    ...(accept !== undefined && { accept }),
    status: response.status,
    type: response.headers.get('content-type'),
    digest: createHash('sha256').update(body).digest('hex'),
    etag: response.headers.get('etag'),
    vary: response.headers.get('vary'),
    cacheControl: response.headers.get('cache-control'),
  }
}

/** Opens a database file as any program would, for as long as the work takes. */
export function withDatabase<T>(file: string, work: (db: Database.Database) => T): T {
  const db = keep(new Database(file, { fileMustExist: true }))
  try {
    return work(db)
  } finally {
    db.close()
  }
}

/** The rows of a query, blobs in hex. */
export const rowsIn = (file: string, query: string): TableRow[] =>
  withDatabase(file, (db) =>
    keep(db.prepare<[], Record<string, string | number | null | Buffer>>(query))
      .all()
      .map((row) =>
        Object.fromEntries(
          Object.entries(row).map(([name, value]) => [
            name,
            Buffer.isBuffer(value) ? value.toString('hex') : value,
          ]),
        ),
      ),
  )

/** The schema that a database file says it has. */
export const schemaOf = (file: string): number => Number(rowsIn(file, 'PRAGMA user_version')[0]?.user_version)

/**
 * Listens where the origin of the fixture was, answers nobody, and counts who comes. Tests that run beside each other
 * take turns at it.
 * @throws Error where something else listens there, for longer than tests do
 */
export async function watchOrigin(): Promise<{ connections(): number; close(): Promise<void> }> {
  let count = 0
  const server = createServer((socket: Socket) => {
    count += 1
    socket.destroy()
  })
  const listens = async (): Promise<boolean> => {
    server.listen(ORIGIN_PORT, '127.0.0.1')
    try {
      await once(server, 'listening')
      return true
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return false
      throw error
    }
  }
  for (let turn = 0; !(await listens()); turn += 1) {
    if (turn > 2000) throw new Error(`something else listens at port ${ORIGIN_PORT}, which these tests need`)
    await sleep(50)
  }
  return {
    connections: () => count,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
