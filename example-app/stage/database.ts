/** The app's own records, in a real SQLite file. Source URLs are kept as paths, so that the CDN may move. */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { ARTISTS, FILMS, PLAYLISTS } from './seed.js'

/** A record as pages and the toolkit see it: its picture's URL absolute. */
export interface Entity {
  readonly id: string
  readonly type: string
  readonly name: string
  readonly image_url: string | null
  readonly image_path: string | null
  readonly [field: string]: unknown
}

/** A kind of picture: the table it is in, its columns, and the shape of its URL. */
interface Pictured {
  readonly table: string
  readonly url: string
  readonly path: string
}

/** The kinds of picture of this app. A film has two. */
export const PICTURED: Readonly<Record<string, Pictured>> = {
  artist: { table: 'artists', url: 'image_url', path: 'image_path' },
  album: { table: 'albums', url: 'image_url', path: 'image_path' },
  playlist: { table: 'playlists', url: 'image_url', path: 'image_path' },
  film_poster: { table: 'films', url: 'poster_url', path: 'poster_path' },
  film_backdrop: { table: 'films', url: 'backdrop_url', path: 'backdrop_path' },
}

const SCHEMA = `
  CREATE TABLE artists (id TEXT PRIMARY KEY, name TEXT, genre TEXT, image_url TEXT, image_path TEXT);
  CREATE TABLE albums (id TEXT PRIMARY KEY, name TEXT, year INTEGER, artist_id TEXT, artist TEXT, image_url TEXT, image_path TEXT);
  CREATE TABLE playlists (id TEXT PRIMARY KEY, name TEXT, about TEXT, albums TEXT, image_url TEXT, image_path TEXT);
  CREATE TABLE films (id TEXT PRIMARY KEY, name TEXT, year INTEGER, minutes INTEGER, about TEXT,
    poster_url TEXT, poster_path TEXT, backdrop_url TEXT, backdrop_path TEXT);
  PRAGMA user_version = 1;
`

/** Every database of this process, with its statements. */
const held: unknown[] = []

/** See the top of the file. */
export type Records = ReturnType<typeof openRecords>

/** Opens the file, made and filled where it is new. @param cdn base of the pictures' URLs */
export function openRecords(file: string, cdn: () => string) {
  mkdirSync(dirname(file), { recursive: true })
  const db = new Database(file)
  // Statements are kept: better-sqlite3 12 aborts on Node 24 when one is collected at a bad moment.
  const statements = new Map<string, Database.Statement<(string | number)[], Record<string, unknown>>>()
  const statement = (sql: string) => {
    const known = statements.get(sql) ?? db.prepare<(string | number)[], Record<string, unknown>>(sql)
    statements.set(sql, known)
    return known
  }
  held.push({ db, statements })
  if (statement('PRAGMA user_version').get()?.user_version === 0) db.transaction(() => fill(db, statement))()

  const absolute = (row: Record<string, unknown>, type: string): Entity => {
    const urls = ['image_url', 'poster_url', 'backdrop_url'].filter(
      (column) => typeof row[column] === 'string',
    )
    return {
      ...(row as unknown as Entity),
      type,
      ...Object.fromEntries(urls.map((column) => [column, cdn() + String(row[column])])),
    }
  }
  const all = (table: string, type: string, rest = '', ...values: readonly string[]): Entity[] =>
    statement(`SELECT * FROM ${table} ${rest}`)
      .all(...values)
      .map((row) => absolute(row, type))
  const pictured = (kind: string): Pictured => {
    const found = PICTURED[kind]
    if (found === undefined) throw new Error(`no such kind: ${kind}`)
    return found
  }
  return {
    artists: () => all('artists', 'artist', 'ORDER BY id'),
    albums: () => all('albums', 'album', 'ORDER BY id'),
    playlists: () => all('playlists', 'playlist', 'ORDER BY id'),
    films: () => all('films', 'film', 'ORDER BY id'),
    one: (table: 'artists' | 'albums' | 'playlists' | 'films', id: string): Entity | undefined =>
      all(table, table.slice(0, -1), 'WHERE id = ?', id)[0],
    albumsOf: (artistId: string) =>
      all('albums', 'album', 'WHERE artist_id = ? ORDER BY year DESC', artistId),
    albumsIn: (playlist: Entity) =>
      String(playlist.albums)
        .split(',')
        .flatMap((id) => all('albums', 'album', 'WHERE id = ?', id)),
    /** A page of a kind by id, for the repository. */
    page: (kind: string, after: string, limit: number): Entity[] => {
      const { table } = pictured(kind)
      return all(table, kind, `WHERE id > ? ORDER BY id LIMIT ${Math.trunc(limit)}`, after)
    },
    /** Which of the ids exist. */
    living: (kind: string, ids: readonly string[]): ReadonlySet<string> => {
      const has = statement(`SELECT 1 FROM ${pictured(kind).table} WHERE id = ?`)
      return new Set(ids.filter((id) => has.get(id) !== undefined))
    },
    find: (kind: string, id: string): Entity | undefined =>
      all(pictured(kind).table, kind, 'WHERE id = ?', id)[0],
    /**
     * Notes a stored picture: its source as a path, as everywhere here. False for a record that is gone, and for one
     * whose URL has been changed meanwhile: this picture is of the one before.
     */
    savePicture: (kind: string, id: string, imageUrl: string, imagePath: string): boolean => {
      const { table, url, path } = pictured(kind)
      return (
        statement(`UPDATE ${table} SET ${path} = ? WHERE id = ? AND ${url} = ?`).run(
          imagePath,
          id,
          new URL(imageUrl).pathname,
        ).changes === 1
      )
    },
    close: () => db.close(),
  }
}

function fill(
  db: Database.Database,
  statement: (sql: string) => Database.Statement<(string | number)[]>,
): void {
  db.exec(SCHEMA)
  const add = (table: string, row: Record<string, string | number>) => {
    const columns = Object.keys(row)
    statement(`INSERT INTO ${table} (${columns.join()}) VALUES (${columns.map(() => '?').join()})`).run(
      ...Object.values(row),
    )
  }
  for (const { id, name, genre, albums } of ARTISTS) {
    add('artists', { id, name, genre, image_url: `/artists/${id}.jpg` })
    for (const [albumId, title, year] of albums)
      add('albums', {
        id: albumId,
        name: title,
        year,
        artist_id: id,
        artist: name,
        image_url: `/albums/${albumId}.jpg`,
      })
  }
  for (const { id, name, about, albums } of PLAYLISTS)
    add('playlists', { id, name, about, albums: albums.join(), image_url: `/playlists/${id}.jpg` })
  for (const { id, title, year, minutes, about } of FILMS)
    add('films', {
      id,
      name: title,
      year,
      minutes,
      about,
      poster_url: `/t/p/w500/${id}p.jpg`,
      backdrop_url: `/t/p/w1280/${id}b.jpg`,
    })
}
