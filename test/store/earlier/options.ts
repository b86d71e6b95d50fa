/**
 * What the directory in `test/fixtures` was made with, and is opened with: the same options, whichever version opens
 * it. Imported by child processes and by the script that makes the fixture too, so nothing here knows the test runner.
 */
import type { ArtworkOptions, Logger } from '#src/index.js'

/** What of a version's module these options are made with. */
export type Toolkit = typeof import('#src/index.js')

/** The commit that wrote the directory. */
export const EARLIER = 'c745150'
/** Part of every address in the directory, and so fixed; below the ports that systems hand out by themselves. */
export const ORIGIN_PORT = 18_745
export const ORIGIN = `http://127.0.0.1:${ORIGIN_PORT}`
/** When the directory was begun, ms since the epoch. */
export const BEGUN_AT = Date.parse('2026-11-20T12:00:00Z')

/** What the app of the fixture keeps of its entities, by their kind. */
export const RECORDS: Readonly<
  Record<string, readonly { readonly id: string | number; readonly [field: string]: unknown }[]>
> = {
  artist: [
    { id: 7, name: 'Seven', image_url: `${ORIGIN}/still.jpg` },
    { id: 'abc123', name: 'The Letters', image_url: `${ORIGIN}/still.png` },
    // The same picture as the first one's: two names of one content.
    { id: 'twin', name: 'Seven’s Twin', image_url: `${ORIGIN}/still.jpg` },
    { id: 'gone', name: 'Nobody', image_url: `${ORIGIN}/missing.jpg` },
    { id: 'flaky', name: 'Now and Then', image_url: `${ORIGIN}/flaky.jpg` },
  ],
  album: [{ id: 'sunset', title: 'Sunset', image_url: `${ORIGIN}/still.webp` }],
  category: [
    { id: 'Just Chatting', image_url: `${ORIGIN}/changed.jpg` },
    // The same slug: its path has a hash.
    { id: 'just chatting', image_url: `${ORIGIN}/still.png` },
  ],
  artwork: [{ id: 'show1', streamer: 'somebody', image_url: `${ORIGIN}/moving.gif` }],
  film_poster: [{ id: 'film1', poster_url: `${ORIGIN}/t/p/w92/film.jpg` }],
}

const daily = (cron: string) => ({ cron, timezone: 'UTC', jitter: 0, options: {} })

/** The options. Everything is decoded in this process; `library` is where pictures are exported to. */
export function directoryOptions(
  { remote, tmdb, uploads, atproto }: Toolkit,
  given: {
    readonly directory: string
    readonly library?: string
    readonly now: () => number
    readonly logger: Logger
    /** Further `host:port`s that may be asked. */
    readonly alsoAllowed?: readonly string[]
  },
): ArtworkOptions {
  const { directory, library, now, logger, alsoAllowed = [] } = given
  return {
    directory,
    now,
    logger,
    sources: [
      tmdb({ baseUrl: `${ORIGIN}/t/p` }),
      remote({ hosts: ['127.0.0.1'] }),
      atproto({ identity: { plcUrl: ORIGIN } }),
      uploads({ namespaces: { photos: { keepOriginal: true }, avatars: { fit: 32 } } }),
    ],
    entities: {
      film_poster: {
        variant: 'w64-h96',
        path: 'films/{shard}/{id}.avif',
        placeholder: 'poster',
        fields: { url: 'poster_url', path: 'poster_path' },
      },
    },
    repository: {
      list: async (kind) => ({ entities: RECORDS[kind] ?? [] }),
      find: async (kind, id) => RECORDS[kind]?.find((record) => String(record.id) === String(id)),
      exists: async (_kind, ids) => new Set(ids),
      saveImage: async () => true,
    },
    fetch: { allowPrivate: [`127.0.0.1:${ORIGIN_PORT}`, ...alsoAllowed], retries: 0 },
    transform: { isolate: false, formats: ['jpeg', 'png', 'gif', 'webp', 'avif'] },
    manage: { authorize: () => true },
    ...(library !== undefined && { export: { directory: library } }),
    schedules: { cleanup: daily('30 12 * * *'), verify: daily('0 4 * * 0'), sync: daily('0 5 * * *') },
    widths: [64, 96],
    presets: { thumb: { width: 24, height: 24, fit: 'cover', format: 'jpeg' } },
  }
}

/**
 * The same options for a version that has a quality and an effort for each format: as pictures were encoded when there was
 * one of both, so that what was made then is what would be made now.
 */
export const withEarlierEncoding = (options: ArtworkOptions): ArtworkOptions => ({
  ...options,
  transform: { ...options.transform, quality: { avif: 85 }, effort: { avif: 4 } },
})
