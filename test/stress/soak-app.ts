/** An app with a toolkit for the soak, in a process of its own that its parent orders about, tells the time, and kills. */

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import express from 'express'
import nunjucks from 'nunjucks'
import {
  type Artwork,
  createArtwork,
  type EntityLike,
  type Explained,
  type ImagesStats,
  type Job,
  type JobKind,
  type JobSelection,
  type Repository,
  remote,
} from '#src/index.js'
import { handleOrders } from '../fixtures/handle-orders.js'

/** Opens the toolkit. */
export interface Opening {
  readonly directory: string
  /** The app's own records, that the parent changes. */
  readonly records: string
  /** What time it is, ms since the epoch. */
  readonly now: number
  readonly maxBytes: number
  /** How long a source is waited for, ms. */
  readonly firstByteTimeout: number
  /** `host:port` of every source. */
  readonly hosts: readonly string[]
  /** Pictures are fresh for so long, ms. */
  readonly maxAge: number
  /** What nobody used for so many days goes. */
  readonly maxIdle: number
}
/** What an opened app found, before it began to work. */
export interface Opened {
  readonly url: string
  /** Work that its predecessor was at when it died. */
  readonly interrupted: readonly Pick<Job, 'kind' | 'key'>[]
}
/** What pages printed. */
export interface Rendered {
  readonly local: number
  readonly source: number
  readonly placeholder: number
  /** By `kind/id`. */
  readonly urls: Readonly<Record<string, string>>
}
/** What the process does for its parent. */
export interface SoakOrders {
  open(opening: Opening): Promise<Opened>
  /** Lets the background work begin. */
  start(): Promise<void>
  setClock(now: number): Promise<void>
  /** Dies by SIGKILL so many ms after the records are asked for the n-th time which entities exist. */
  dieAt(asked: number, after: number): Promise<void>
  /** Prints pages with these entities on them. */
  render(entities: readonly (readonly [kind: string, id: string])[]): Promise<Rendered>
  run(kind: JobKind, options?: Record<string, unknown>): Promise<string>
  /**
   * Works until nothing is queued or running. Where all that is left waits for its time, the clock is put to that.
   * @returns what time it is then
   */
  drain(): Promise<number>
  jobs(selection: Partial<JobSelection>): Promise<readonly Job[]>
  job(id: string): Promise<Job | undefined>
  explain(urls: readonly string[]): Promise<readonly Explained[]>
  stats(): Promise<ImagesStats>
  /** What was logged as a warning or an error since the last time, and how often. */
  troubles(): Promise<Readonly<Record<string, number>>>
  close(): Promise<void>
}

let artwork: Artwork | undefined
let server: Server | undefined
let records: Database.Database | undefined
let repository: ReturnType<typeof repositoryOf> | undefined
let page: nunjucks.Template | undefined
let now = 0
let asked = 0
let doom = { asked: 0, after: 0 }
let dying: NodeJS.Timeout | undefined
const troubles = new Map<string, number>()
const opened = (): Artwork => {
  if (artwork === undefined) throw new Error('nothing is open')
  return artwork
}
/** Databases are held for good: see the note on better-sqlite3 in the catalogue. */
const held: unknown[] = []

interface Record_ {
  readonly id: string
  readonly image_url: string
  readonly image_path: string | null
}
const LIST_PAGE = 500
function repositoryOf(db: Database.Database): Repository & { find: NonNullable<Repository['find']> } {
  const list = db.prepare<[string, string], Record_>(
    `SELECT id, image_url, image_path FROM entities WHERE kind = ? AND id > ? ORDER BY id LIMIT ${LIST_PAGE}`,
  )
  const one = db.prepare<[string, string], Record_>(
    'SELECT id, image_url, image_path FROM entities WHERE kind = ? AND id = ?',
  )
  const save = db.prepare<[string, string, string]>(
    'UPDATE entities SET image_path = ? WHERE kind = ? AND id = ?',
  )
  held.push(list, one, save)
  const plain = (row: Record_): EntityLike => ({ ...row })
  return {
    list: async (kind, cursor = '') => {
      const rows = list.all(kind, cursor)
      const last = rows.at(-1)
      return { entities: rows.map(plain), ...(last && rows.length === LIST_PAGE && { next: last.id }) }
    },
    exists: async (kind, ids) => {
      asked += 1
      if (asked === doom.asked) dying = setTimeout(() => process.kill(process.pid, 'SIGKILL'), doom.after)
      return new Set(ids.filter((id) => one.get(kind, id) !== undefined))
    },
    find: async (kind, id) => {
      const row = one.get(kind, id)
      return row && plain(row)
    },
    saveImage: (kind, id, { imagePath }) => save.run(imagePath, kind, id).changes > 0,
  }
}

const orders: SoakOrders = {
  open: async (opening) => {
    now = opening.now
    const db = new Database(opening.records, { timeout: 10_000 })
    held.push(db)
    records = db
    const note = (fields: object, message: string): void => {
      const cause = 'err' in fields && fields.err instanceof Error ? `: ${fields.err.message}` : ''
      troubles.set(message + cause, (troubles.get(message + cause) ?? 0) + 1)
    }
    repository = repositoryOf(db)
    const made = await createArtwork({
      directory: opening.directory,
      repository,
      sources: [remote({ hosts: ['127.0.0.1'] })],
      disk: { required: true, maxBytes: opening.maxBytes },
      freshness: { maxAge: opening.maxAge, staleWhileRevalidate: '2 d', staleIfError: '30 d' },
      fetch: {
        allowPrivate: [...opening.hosts],
        retries: 0,
        connectTimeout: 2000,
        firstByteTimeout: opening.firstByteTimeout,
      },
      transform: { isolate: false, concurrency: 2 },
      schedules: {
        cleanup: { cron: '0 3 * * *', timezone: 'UTC', jitter: 0, options: { maxAgeDays: opening.maxIdle } },
      },
      logger: { debug: () => {}, info: () => {}, warn: note, error: note },
      now: () => now,
    })
    artwork = made
    const pages = new nunjucks.Environment(null, { autoescape: true })
    made.installTemplates(pages)
    page = nunjucks.compile('{{ entity | image_display_url(kind=kind) | safe }}', pages)
    const app = express()
    app.use(made.router)
    const listening = createServer(app)
    server = listening
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
    const interrupted = await made.refresher.jobs({ state: 'running', limit: 200 })
    return {
      url: `http://127.0.0.1:${(listening.address() as AddressInfo).port}`,
      interrupted: interrupted.map(({ kind, key }) => ({ kind, key })),
    }
  },
  start: async () => opened().start(),
  setClock: async (time) => {
    now = time
  },
  dieAt: async (nth, after) => {
    clearTimeout(dying)
    asked = 0
    doom = { asked: nth, after }
  },
  render: async (entities) => {
    const count = { local: 0, source: 0, placeholder: 0 }
    const urls: Record<string, string> = {}
    for (const [kind, id] of entities) {
      const entity = await repository?.find(kind, id)
      if (entity === undefined) continue
      const url = page?.render({ entity, kind }) ?? ''
      count[url.startsWith('/artwork/') ? 'local' : url.startsWith('http') ? 'source' : 'placeholder'] += 1
      urls[`${kind}/${id}`] = url
    }
    return { ...count, urls }
  },
  run: async (kind, options) => {
    const added = await opened().refresher.run(kind, options)
    if (!('id' in added) || added.id === undefined) throw new Error(`${kind} was not queued`)
    return added.id
  },
  drain: async () => {
    const { refresher } = opened()
    for (let times = 0; ; times += 1) {
      const { queued, running } = await refresher.status()
      if (queued + running === 0) return now
      const busy = (await refresher.jobs({ state: 'running', lane: 'task', limit: 1 })).length > 0
      const waiting = busy ? [] : await refresher.jobs({ state: 'queued', limit: 50 })
      const due = waiting.map(({ notBefore }) => notBefore)
      if (due.length > 0 && Math.min(...due) > now) {
        now = Math.max(...due)
        refresher.resume()
      }
      // Looking is work too.
      await sleep(Math.min(10 + times, 50))
    }
  },
  jobs: async (selection) => await opened().refresher.jobs(selection),
  job: async (id) => await opened().refresher.job(id),
  explain: async (urls) => urls.map((url) => opened().images.explain({ url })),
  stats: async () => opened().images.stats(),
  troubles: async () => {
    const counts = Object.fromEntries(troubles)
    troubles.clear()
    return counts
  },
  close: async () => {
    server?.closeAllConnections()
    await new Promise((resolve) => server?.close(resolve))
    await artwork?.close()
    records?.close()
    artwork = undefined
  },
}

handleOrders<SoakOrders>(orders)
