/** Records in a real PostgreSQL, through the adapter of the example app and a real toolkit. */

import express from 'express'
import type { EntityKindOptions, EntityPage, Repository } from 'express-artwork'
import nunjucks from 'nunjucks'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { digestOf } from '#src/model/digest.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { atEnd, listen, startApp } from '../support/toolkit.js'
import { createPostgresRepository, type PicturedTable } from './repository.js'
import { type PostgresServer, programs, startPostgres } from './server.js'

/** Text ids in an order of their own where the server has it; columns that the toolkit does not know by name. */
const schema = (collation: string): string => `
  CREATE TABLE artists (id text ${collation} PRIMARY KEY, name text, picture text, local text,
    w integer, h integer, sha256 text);
  CREATE SCHEMA cinema;
  CREATE TABLE cinema.films (film_id bigint PRIMARY KEY, title text, poster_url text, poster_path text,
    backdrop_url text, backdrop_path text);
  CREATE TABLE shows ("showId" uuid PRIMARY KEY, image_url text, image_path text);
`
const KINDS: Readonly<Record<string, PicturedTable>> = {
  artist: { table: 'artists', url: 'picture', path: 'local', width: 'w', height: 'h', digest: 'sha256' },
  film_poster: { table: 'cinema.films', id: 'film_id', url: 'poster_url', path: 'poster_path' },
  film_backdrop: { table: 'cinema.films', id: 'film_id', url: 'backdrop_url', path: 'backdrop_path' },
  show: { table: 'shows', id: 'showId', url: 'image_url', path: 'image_path' },
}
const ENTITIES: Readonly<Record<string, EntityKindOptions>> = {
  film_poster: { variant: 'w342-h513', fields: { url: 'poster_url', path: 'poster_path' } },
  film_backdrop: { variant: 'w342-h513', fields: { url: 'backdrop_url', path: 'backdrop_path' } },
  show: {},
}

let server: PostgresServer
const unhandled: unknown[] = []
const note = (error: unknown): void => void unhandled.push(error)

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(async () => {
  await server?.remove()
})
beforeEach(() => {
  unhandled.length = 0
  process.on('unhandledRejection', note).on('uncaughtException', note)
})
afterEach(() => {
  process.off('unhandledRejection', note).off('uncaughtException', note)
  expect(unhandled).toEqual([])
})

/** What was asked of the repository, and what it answered. */
interface Call {
  readonly verb: string
  readonly kind: string
  readonly given: unknown
  readonly answer: unknown
}

/** A toolkit over a database of its own. */
async function site(change: (repository: Repository, pool: pg.Pool) => Repository = (given) => given) {
  const pool = await server.freshPool()
  atEnd(() => pool.end())
  const { rowCount } = await pool.query(`SELECT FROM pg_collation WHERE collname = 'en-x-icu'`)
  await pool.query(schema(rowCount === 0 ? '' : 'COLLATE "en-x-icu"'))
  const calls: Call[] = []
  const { list, exists, find, saveImage } = change(createPostgresRepository(pool, KINDS), pool)
  const counted = async <T>(verb: string, kind: string, given: unknown, work: Promise<T> | T | undefined) => {
    const answer = await work
    calls.push({ verb, kind, given, answer })
    return answer as T
  }
  const repository = {
    list: (kind: string, cursor?: string) => counted('list', kind, cursor, list?.(kind, cursor)),
    exists: (kind: string, ids: readonly string[]) => counted('exists', kind, ids, exists?.(kind, ids)),
    find: (kind: string, id: string) => counted('find', kind, id, find?.(kind, id)),
    saveImage: ((kind, id, given) =>
      counted('saveImage', kind, { id, given }, saveImage?.(kind, id, given))) as NonNullable<
      Repository['saveImage']
    >,
  }
  const app = await startApp({
    repository,
    entities: ENTITIES,
    transform: { isolate: false },
    fetch: { retries: 0 },
    manage: { authorize: () => true },
  })
  app.artwork.start()
  const managed = await listen(express().use('/api/images', app.artwork.manageRouter))
  const { refresher } = app.artwork
  const run = async (kind: 'sync' | 'cleanup', options: Readonly<Record<string, unknown>> = {}) => {
    const { id = '' } = refresher.run(kind, options)
    let job = await refresher.job(id)
    for await (job of refresher.watch(id));
    return job
  }
  const bytes = await jpeg(60, 40)
  const url = (name: string): string => `${app.origin.url}/${name}.jpg`
  return {
    ...app,
    pool,
    repository,
    calls,
    run,
    url,
    bytes,
    /** A picture upstream; answers its URL. */
    picture: (name: string, body = bytes): string => {
      app.origin.serve(`/${name}.jpg`, image(body))
      return url(name)
    },
    addArtists: async (ids: readonly string[], urlOf: (index: number) => string | null) => {
      await pool.query(
        'INSERT INTO artists (id, name, picture) SELECT * FROM unnest($1::text[], $1::text[], $2::text[])',
        [ids, ids.map((_id, index) => urlOf(index))],
      )
    },
    addFilms: async (ids: readonly (number | string)[], urlOf: (index: number) => string | null) => {
      await pool.query(
        'INSERT INTO cinema.films (film_id, poster_url) SELECT * FROM unnest($1::bigint[], $2::text[])',
        [ids, ids.map((_id, index) => urlOf(index))],
      )
    },
    rows: async (text: string, ...values: readonly unknown[]) =>
      (await pool.query<Record<string, unknown>>(text, [...values])).rows,
    /** What the management API answers. */
    api: (path: string) => fetch(`${managed.url}/api/images${path}`),
    /** The status of an entity's picture, as a browser gets it. */
    status: async (path: unknown) => (await app.get(`/artwork/local/${path}`)).status,
    download: (entityType: string, entityId: string | number, sourceUrl: string, force = false) =>
      app.artwork.images.downloadAndCache({ sourceUrl, entityType, entityId, force }),
  }
}
type Site = Awaited<ReturnType<typeof site>>

/** The ids of all pages that were listed of a kind, and how many pages there were. */
const listed = (calls: readonly Call[], kind: string) => {
  const pages = calls
    .filter((call) => call.verb === 'list' && call.kind === kind)
    .map(({ answer }) => (answer as { entities: { id: unknown }[] }).entities)
  return { pages: pages.length, ids: pages.flat().map(({ id }) => id) }
}

test('where PostgreSQL is missing, the suite says so, and how to get it', () => {
  expect(() => programs(['/nowhere'])).toThrow(/need a PostgreSQL server.*apt-get install -y postgresql/)
})

describe('sync', () => {
  const ARTISTS = Array.from({ length: 250 }, (_, index) => `${'aBcÉ'[index % 4]}-${index}`)
  const FILMS = [...Array.from({ length: 214 }, (_, index) => index + 1), -3, '9007199254740993']

  test('hundreds of entities, page by page; records are updated; a second run finds nothing to do; a changed URL does', async () => {
    const app = await site()
    const names = ['red', 'green', 'blue']
    const sources = await Promise.all(
      names.map(async (name, seed) => app.picture(name, await jpeg(60, 40, seed))),
    )
    const urlOf = (index: number): string => `${sources[index % 3]}`
    await app.addArtists(ARTISTS, urlOf)
    await app.addFilms(FILMS, urlOf)
    await app.pool.query('INSERT INTO artists (id) VALUES ($1)', ['without'])
    const total = ARTISTS.length + FILMS.length

    const first = await app.run('sync')
    expect(first).toMatchObject({
      state: 'done',
      result: { seen: total, queued: total, done: total, failed: 0 },
    })
    const films = listed(app.calls, 'film_poster')
    expect(films).toEqual({ pages: 3, ids: [-3, ...FILMS.slice(0, 214), '9007199254740993'] })
    const artists = listed(app.calls, 'artist')
    expect(artists.pages).toBe(3)
    expect(artists.ids).toHaveLength(ARTISTS.length + 1)
    expect(new Set(artists.ids)).toEqual(new Set([...ARTISTS, 'without']))

    const noted = await app.rows('SELECT * FROM artists WHERE picture IS NOT NULL')
    expect(noted).toHaveLength(ARTISTS.length)
    for (const row of noted) {
      expect(row).toMatchObject({ picture: urlOf(ARTISTS.indexOf(String(row.id))), w: 60, h: 40 })
      const answer = await app.get(`/artwork/local/${row.local}`)
      expect(answer.status).toBe(200)
      expect(digestOf(new Uint8Array(await answer.arrayBuffer()))).toBe(row.sha256)
    }
    expect(new Set(noted.map(({ sha256 }) => sha256)).size).toBe(3)
    const posters = await app.rows('SELECT * FROM cinema.films')
    for (const { film_id, poster_path, backdrop_path } of posters)
      expect([film_id, poster_path, backdrop_path]).toEqual([
        film_id,
        `film_posters/${String(film_id).slice(0, 2)}/${film_id}.webp`,
        null,
      ])

    const hits = app.origin.hits()
    expect(await app.run('sync')).toMatchObject({ state: 'done', result: { seen: total, queued: 0 } })
    expect(app.origin.hits()).toBe(hits)

    const [before] = await app.rows('SELECT * FROM artists WHERE id = $1', ARTISTS[9])
    const changed = app.picture('changed', await jpeg(60, 40, 5))
    await app.pool.query('UPDATE artists SET picture = $1 WHERE id = $2', [changed, ARTISTS[9]])
    await app.pool.query('UPDATE cinema.films SET poster_url = $1 WHERE film_id = $2', [changed, 100])
    expect(await app.run('sync')).toMatchObject({ state: 'done', result: { queued: 2, done: 2 } })
    const [after] = await app.rows('SELECT * FROM artists WHERE id = $1', ARTISTS[9])
    expect(after).toMatchObject({ picture: changed, local: before?.local })
    expect(after?.sha256).not.toBe(before?.sha256)
    expect(app.origin.hits('/changed.jpg')).toBe(1)
    expect(await app.run('sync')).toMatchObject({ result: { queued: 0 } })
  })

  test('one table with two pictures: each kind has its own columns', async () => {
    const app = await site()
    await app.pool.query('INSERT INTO cinema.films VALUES (7, $1, $2, NULL, $3, NULL)', [
      'Seven',
      app.picture('poster'),
      app.picture('backdrop'),
    ])
    expect(await app.run('sync')).toMatchObject({ result: { seen: 2, done: 2 } })
    expect(await app.rows('SELECT * FROM cinema.films')).toEqual([
      {
        film_id: '7',
        title: 'Seven',
        poster_url: app.url('poster'),
        poster_path: 'film_posters/7/7.webp',
        backdrop_url: app.url('backdrop'),
        backdrop_path: 'film_backdrops/7/7.webp',
      },
    ])
    const found = await app.api('/film_backdrop/7')
    expect(await found.json()).toMatchObject({
      film_backdrop_id: 7,
      username: 'Seven',
      original_image_url: app.url('backdrop'),
      cached: true,
    })
    expect((await app.api('/film_backdrop/8')).status).toBe(404)
  })

  test('rows that come and go while pages are read: no other is left out, or seen twice', async () => {
    const app = await site(({ list, ...rest }, pool) => ({
      ...rest,
      list: async (kind, cursor) => {
        const page = (await list?.(kind, cursor)) as EntityPage | undefined
        // The row that the next page begins after is gone, and there is one more before it.
        if (kind === 'film_poster' && cursor === undefined) {
          await pool.query('DELETE FROM cinema.films WHERE film_id = $1', [page?.next])
          await pool.query('INSERT INTO cinema.films (film_id) VALUES (-1)')
        }
        return page ?? { entities: [] }
      },
    }))
    const all = Array.from({ length: 230 }, (_, index) => index + 1)
    await app.addFilms(all, () => null)
    expect(await app.run('sync', { kinds: ['film_poster'] })).toMatchObject({ state: 'done' })
    expect(listed(app.calls, 'film_poster')).toEqual({ pages: 3, ids: all })
  })
})

describe('a row that is gone', () => {
  test('is an orphan: a dry run counts it, cleaning up removes it, and nothing else', async () => {
    const app = await site()
    const source = app.picture('a')
    const artists = ['a1', 'a2', 'a3', 'Just Chatting']
    await app.addArtists(artists, () => source)
    await app.addFilms([1, 2, 3, 10], () => source)
    const show = '0b7d2c1e-5d0f-4c8e-9f65-1a2b3c4d5e6f'
    await app.pool.query('INSERT INTO shows VALUES ($1)', [show])
    await app.run('sync')
    // One that the app asked for by another spelling of its id, and one of a kind that has no table.
    await app.download('show', show.toUpperCase(), source)
    await app.download('playlist', 'p1', source)
    await app.pool.query(`DELETE FROM artists WHERE id = 'a2'`)
    await app.pool.query('DELETE FROM cinema.films WHERE film_id = 10')

    const gone = ['artists/a2/a2.webp', 'film_posters/10/10.webp']
    const kept = [
      'artists/a1/a1.webp',
      'artists/a3/a3.webp',
      'artists/ju/just_chatting.webp',
      ...[1, 2, 3].map((id) => `film_posters/${id}/${id}.webp`),
      `shows/0B/${show.toUpperCase()}.webp`,
      'playlists/p1/p1.webp',
    ]
    const dry = await app.run('cleanup', { dryRun: true })
    expect(dry).toMatchObject({ state: 'done', result: { orphaned: 2, removed: 2 } })
    for (const path of [...gone, ...kept]) expect(await app.status(path), path).toBe(200)

    app.calls.length = 0
    expect((await app.run('cleanup'))?.result).toEqual(dry?.result)
    for (const path of gone) expect(await app.status(path), path).toBe(404)
    for (const path of kept) expect(await app.status(path), path).toBe(200)
    expect(app.calls.map(({ verb, kind }) => `${verb} ${kind}`).sort()).toEqual([
      'exists artist',
      'exists film_poster',
      'exists playlist',
      'exists show',
      // What a record of the kind prints is not removed, whatever its id.
      'list artist',
      'list film_poster',
    ])
    expect(await app.run('cleanup')).toMatchObject({ result: { orphaned: 0, removed: 0 } })
  })

  test('cannot be updated: reported as refused, and the picture stays', async () => {
    const app = await site()
    const source = app.picture('a')
    await app.addArtists(['here', 'gone'], () => source)
    await app.pool.query(`DELETE FROM artists WHERE id = 'gone'`)
    expect(await app.download('artist', 'here', source)).toMatchObject({ repository: 'saved' })
    const refused = await app.download('artist', 'gone', source)
    expect(refused).toMatchObject({ status: 'downloaded', repository: 'refused' })
    expect(await app.status(refused.localPath)).toBe(200)
    expect(await app.rows('SELECT id FROM artists')).toEqual([{ id: 'here' }])
    expect(await app.download('film_poster', 4711, source)).toMatchObject({ repository: 'refused' })
  })
})

/** What a page prints for an artist, without a query. */
const printer = (app: Site) => {
  const environment = new nunjucks.Environment(null, { autoescape: true })
  app.artwork.installTemplates(environment)
  return (id: string): string =>
    environment.renderString('{{ e | image_display_url("artist") }}', { e: { id, image_url: app.url(id) } })
}

describe('a server that goes away', () => {
  test('while pictures are fetched: they are kept and served, sync says what is wrong, and goes on when it is back', async () => {
    const app = await site()
    const print = printer(app)
    const held = ['a1', 'a2', 'a3', 'a4']
    const late = ['b1', 'b2', 'b3', 'b4', 'b5', 'b6']
    for (const id of held) app.picture(id)
    await app.addArtists(held, (index) => app.url(`${held[index]}`))
    expect(await app.run('sync')).toMatchObject({ result: { done: held.length } })
    const printed = held.map(print)

    const waiting: (() => void)[] = []
    let isOpen = false
    for (const id of late)
      app.origin.serve(`/${id}.jpg`, (_req, res) => {
        const answer = () => void res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(app.bytes)
        if (isOpen) answer()
        else waiting.push(answer)
      })
    await app.addArtists(late, (index) => app.url(`${late[index]}`))
    const working = app.run('sync')
    await expect.poll(() => waiting.length, { timeout: 30_000 }).toBe(2)
    await server.kill()
    try {
      await expect.poll(() => app.pool.totalCount, { timeout: 30_000 }).toBe(0)
      isOpen = true
      for (const answer of waiting) answer()
      expect(await working).toMatchObject({ state: 'done', result: { done: late.length, failed: 0 } })
      const { refresher } = app.artwork
      const results = (await refresher.jobs({ kind: 'download' }))
        .filter(({ key }) => key.startsWith('artist:b'))
        .map(({ result }) => result)
      expect(results).toHaveLength(late.length)
      for (const result of results) expect(result).toMatchObject({ repository: 'refused' })

      expect(held.map(print)).toEqual(printed)
      for (const url of [...printed, ...late.map(print)]) {
        expect(url).toMatch(/^\/artwork\/local\/artists\//)
        expect((await app.get(url)).status).toBe(200)
      }
      expect(await app.run('sync')).toMatchObject({
        state: 'failed',
        reason: 'unavailable',
        error: expect.stringMatching(/^PostgreSQL did not answer: .* of artist \((?:ENOENT|ECONNREFUSED)\)$/),
      })
      // Who cannot be asked has no orphans.
      expect(await app.run('cleanup')).toMatchObject({ state: 'done', result: { orphaned: 0, removed: 0 } })
    } finally {
      await server.start()
    }
    expect(await app.run('sync')).toMatchObject({ state: 'done', result: { queued: 0 } })
    // The records that missed a picture meanwhile have it now.
    expect(await app.rows('SELECT count(local)::int AS n FROM artists')).toEqual([{ n: 10 }])
  })

  test('while it is asked: the sync that asked fails, and says why', async () => {
    const app = await site()
    await app.addArtists(['a1'], () => app.picture('a1'))
    const other = await app.pool.connect()
    other.on('error', () => {})
    try {
      await other.query('BEGIN; LOCK TABLE artists IN ACCESS EXCLUSIVE MODE')
      const working = app.run('sync', { kinds: ['artist'] })
      const isWaiting = async () =>
        (
          await app.rows(
            `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
          )
        ).length
      await expect.poll(isWaiting, { timeout: 30_000 }).toBe(1)
      await server.kill()
      expect(await working).toMatchObject({ state: 'failed', reason: 'unavailable' })
    } finally {
      other.release(true)
      await server.start()
    }
    expect(await app.run('sync')).toMatchObject({ state: 'done', result: { queued: 1, done: 1 } })
    expect(await app.rows('SELECT local FROM artists')).toEqual([{ local: 'artists/a1/a1.webp' }])
  })

  test('while nobody asks: clients that it cut end nothing, and the next question gets another', async () => {
    const app = await site()
    await app.addArtists(['a1', 'a2'], () => app.picture('a'))
    createPostgresRepository(app.pool, KINDS)
    expect(app.pool.listenerCount('error')).toBe(1)
    await Promise.all([1, 2, 3].map(() => app.repository.exists('artist', ['a1'])))
    const cut = new Promise((resolve) => app.pool.once('error', resolve))
    await app.rows(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    )
    expect(await cut).toMatchObject({ code: '57P01' })
    await expect.poll(() => app.pool.totalCount, { timeout: 30_000 }).toBe(1)
    expect(await app.run('sync')).toMatchObject({ state: 'done', result: { done: 2 } })
  })

  test('without going away: a query that takes too long is given up, the picture stays', async () => {
    let isImpatient = false
    const app = await site((patient, pool) => {
      const impatient = createPostgresRepository(pool, KINDS, { timeout: 100 })
      return {
        ...patient,
        saveImage: (kind, id, given) => (isImpatient ? impatient : patient).saveImage?.(kind, id, given),
      }
    })
    await app.addArtists(['a1'], () => app.picture('a'))
    const other = await app.pool.connect()
    try {
      await other.query('BEGIN; LOCK TABLE artists IN ACCESS EXCLUSIVE MODE')
      isImpatient = true
      const refused = await app.download('artist', 'a1', app.url('a'))
      expect(refused).toMatchObject({ status: 'downloaded', repository: 'refused' })
      expect(await app.status(refused.localPath)).toBe(200)
      await other.query('ROLLBACK')
    } finally {
      other.release(true)
    }
    isImpatient = false
    expect(await app.download('artist', 'a1', app.url('a'), true)).toMatchObject({ repository: 'saved' })
  })
})

describe('what is asked with ill intent, or by mistake', () => {
  const HOSTILE = [
    `'; DROP TABLE artists; --`,
    `"; DROP SCHEMA cinema; --`,
    `x', 'y`,
    `{a,"b"}`,
    `c,d`,
    `NULL`,
    `$1`,
    `back\\slash`,
    `%_`,
    `ключ`,
    `😀`,
    `' OR '1'='1`,
    ' spaces ',
  ]

  test('text ids of any kind are ids and nothing else', async () => {
    const app = await site()
    await app.addArtists([...HOSTILE, 'plain'], (index) => app.picture(`h${index}`))
    const total = HOSTILE.length + 1
    const synced = await app.run('sync', { kinds: ['artist'] })
    expect(synced).toMatchObject({ state: 'done', result: { seen: total, done: total } })
    const rows = await app.rows('SELECT id, local, picture FROM artists')
    expect(new Set(rows.map(({ local }) => local)).size).toBe(total)
    for (const [index, id] of HOSTILE.entries()) {
      expect(rows.find((row) => row.id === id)?.picture, id).toBe(app.url(`h${index}`))
      expect(await app.repository.find('artist', id)).toMatchObject({ id })
    }
    const asked = [...HOSTILE, 'plain', `'; DROP TABLE films; --`, 'PLAIN', 'a\0b', '']
    expect(await app.repository.exists('artist', asked)).toEqual(new Set([...HOSTILE, 'plain']))
    expect(await app.run('cleanup')).toMatchObject({ result: { orphaned: 0, removed: 0 } })
    const refused = await app.download('artist', `'; DELETE FROM artists; --`, app.url('h0'))
    expect(refused.repository).toBe('refused')
    expect(await app.rows('SELECT count(*)::int AS n FROM artists')).toEqual([{ n: total }])
  })

  test('what no integer or uuid is, is not found, and fails no batch', async () => {
    const app = await site()
    await app.addFilms([1, 2, 10], () => null)
    const show = '0b7d2c1e-5d0f-4c8e-9f65-1a2b3c4d5e6f'
    await app.pool.query('INSERT INTO shows VALUES ($1)', [show])
    const wrong = ['1; DROP TABLE cinema.films', '1 OR 1=1', '01', '+1', '1.0', '1e0', ' 1', '', 'NaN', '\0']
    const huge = ['9223372036854775808', '-9223372036854775809', '99999999999999999999']
    for (const id of [...wrong, ...huge]) {
      expect(await app.repository.find('film_poster', id), id).toBeUndefined()
      expect(await app.repository.find('show', id), id).toBeUndefined()
    }
    expect(await app.repository.exists('film_poster', [...wrong, ...huge, '1', '10', '3'])).toEqual(
      new Set(['1', '10']),
    )
    expect(await app.repository.exists('show', [...wrong, show])).toEqual(new Set([show]))
    const source = app.picture('a')
    const refused = await app.download('film_poster', '1 OR 1=1', source)
    expect(refused).toMatchObject({ status: 'downloaded', repository: 'refused' })
    expect(await app.rows('SELECT count(poster_path)::int AS n FROM cinema.films')).toEqual([{ n: 0 }])
    await expect(app.repository.list('film_poster', `' OR ''='`)).rejects.toThrow('no such page')
  })

  test('names that are none are refused when the repository is made', async () => {
    const app = await site()
    const named = { table: 'artists', url: 'picture', path: 'local' }
    const made = (changes: object) => () =>
      createPostgresRepository(app.pool, { artist: { ...named, ...changes } as PicturedTable })
    expect(made({ table: 'artists; DROP TABLE artists' })).toThrow(
      'kinds.artist.table must be a name of letters, digits, _ and $, got "artists; DROP TABLE artists"',
    )
    for (const name of ['', 'a"b', 'a b', 'a\n', '1a', 'x'.repeat(64), undefined, 7])
      for (const field of ['table', 'url', 'path'])
        expect(made({ [field]: name }), `${field} ${name}`).toThrow(TypeError)
    for (const table of ['a.b.c', '.a', 'a.', '.']) expect(made({ table }), table).toThrow(TypeError)
    for (const field of ['id', 'width', 'height', 'digest'])
      expect(made({ [field]: 'a" = "b' }), field).toThrow(`kinds.artist.${field}`)
  })

  test('a table that is not there fails that sync with its reason, and is found once it is', async () => {
    const app = await site()
    await app.pool.query('ALTER TABLE artists RENAME TO elsewhere')
    expect(await app.run('sync')).toMatchObject({
      state: 'failed',
      reason: 'unavailable',
      error: expect.stringContaining('(42P01)'),
    })
    await app.pool.query('ALTER TABLE elsewhere RENAME TO artists')
    expect(await app.run('sync')).toMatchObject({ state: 'done' })
  })
})

test('making the repository and the toolkit asks nothing of the database', async () => {
  const pool = await server.freshPool()
  atEnd(() => pool.end())
  const app = await startApp({ repository: createPostgresRepository(pool, KINDS), entities: ENTITIES })
  app.artwork.start()
  expect(pool.totalCount).toBe(0)
})
