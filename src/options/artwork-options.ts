/**
 * The options as an app writes them: every one may be left out. `schema.ts` checks them and has their defaults; that both say
 * the same is checked when the tests are compiled.
 */
import type { IncomingMessage } from 'node:http'
import type { LookupFunction } from 'node:net'
import type { CoordinatorSource } from '../model/coordinator.js'
import type { EffortFormat, LossyFormat } from '../model/encoding.js'
import type { EntityKindOptions } from '../model/entity.js'
import type { Fixtures } from '../model/fixtures.js'
import type { ScheduledKind } from '../model/job-kinds.js'
import type { JobQueueSource } from '../model/job-queue.js'
import type { Logger } from '../model/logger.js'
import type { Format } from '../model/media-type.js'
import type { ObjectStoreSource } from '../model/object-store.js'
import type { Repository } from '../model/repository.js'
import type { Preset } from '../model/variant.js'
import type { Source } from '../sources/source.js'

/** Milliseconds, or text with a unit: `'500 ms'`, `'3 s'`, `'10 min'`, `'7 d'`. */
export type Duration = number | string
/** Bytes, or text with a unit: `'64 MiB'`, `'10 GiB'`. */
export type Size = number | string

/** Paths and origin of what is printed and served. */
interface UrlOptions {
  /** Origin, path, or both before every URL that is printed: `/shop` where the app is mounted there. @default '' */
  base?: string | undefined
  /** Where entities' own images are mounted. @default '/artwork/local' */
  local?: string | undefined
  /** Where images by address are mounted. @default '/images' */
  images?: string | undefined
  /** Where placeholders are mounted. @default '/static/images' */
  placeholders?: string | undefined
}

/** What is held in memory. */
interface MemoryOptions {
  /** Hot bytes in memory, with what holds them (1.6 KB an image); an image over 1 MiB stays on disk. @default 64 MiB */
  maxBytes?: Size | undefined
}

/** What is stored on disk. */
interface DiskOptions {
  /** Whether a directory that cannot be used stops the start; a warning otherwise. @default false */
  required?: boolean | undefined
  /** Bytes of images; what was used least recently goes first. @default 10 GiB */
  maxBytes?: Size | undefined
  /** Names of images. @default 500,000 */
  maxNames?: number | undefined
  /** How long an answer waits until its image has been written; after that, it is written behind it. @default 250 ms */
  writeTimeout?: Duration | undefined
}

/** How long originals are fresh. */
interface FreshnessOptions {
  /** How long an original is fresh at most. @default 7 d */
  maxAge?: Duration | undefined
  /** For how long past its freshness it is served at once, and revalidated behind the answer. @default 1 d */
  staleWhileRevalidate?: Duration | undefined
  /** How long after its freshness an image is still served where upstream was asked first and failed. @default 30 d */
  staleIfError?: Duration | undefined
  /**
   * `'bounded'`: upstream's max-age, kept between an hour and `maxAge`; `'strict'`: RFC 9111 to the letter for `remote`.
   * @default 'bounded'
   */
  upstream?: 'bounded' | 'strict' | undefined
}

/** Pools of proxies. */
interface ProxyPoolOptions {
  /** Proxies by the name of their pool: `{ foreign: ['http://user:password@p1.example.com:8080'] }`. @default none */
  pools?: Readonly<Record<string, readonly string[]>> | undefined
  /** Files by the name of their pool, with a proxy a line; read again when they change. @default none */
  files?: Readonly<Record<string, string>> | undefined
  /** Which proxy of a pool is next. @default 'round-robin' */
  strategy?: 'round-robin' | 'random' | undefined
  /** Failures in a row after which a proxy rests. @default 3 */
  restAfter?: number | undefined
  /** How long it rests. @default 300 s */
  restFor?: Duration | undefined
  /** Whether sources are asked directly while every proxy rests. @default false */
  direct?: boolean | undefined
  /** Who resolves the names of sources. @default 'proxy' */
  resolve?: 'proxy' | 'here' | undefined
}

/** How originals are fetched. */
interface FetchingOptions {
  /** Bytes of an original, cut off while it comes. @default 10 MiB */
  maxBytes?: Size | undefined
  /** Until a connection stands. @default 3 s */
  connectTimeout?: Duration | undefined
  /** Until the answer begins. @default 5 s */
  firstByteTimeout?: Duration | undefined
  /** Between two pieces of an answer. @default 5 s */
  idleTimeout?: Duration | undefined
  /** Bytes a second that a body has to come at, on average and after its first 3 s, or it is given up. @default 1024 */
  minBytesPerSecond?: number | undefined
  /** All attempts together. @default 30 s */
  totalTimeout?: Duration | undefined
  /** Further attempts on transport errors, 5xx and 429. @default 3 */
  retries?: number | undefined
  /** Redirects in a row, each checked like the first URL. @default 3 */
  maxRedirects?: number | undefined
  /** Exchanges at once, in all. @default 10 */
  maxSockets?: number | undefined
  /** Exchanges at once with a host. @default 6 */
  perHost?: number | undefined
  /** Ports that may be dialled. @default [80, 443] */
  ports?: readonly number[] | undefined
  /** Whether URLs may have public IP addresses in place of names. @default false */
  allowIpLiterals?: boolean | undefined
  /** Exact `host:port` texts that the rules for ports, literals and private addresses do not bind. @default none */
  allowPrivate?: readonly string[] | undefined
  /** The app's own origins, which are never asked. @default none */
  publicOrigins?: readonly string[] | undefined
  /** Resolves names, in the place of `dns.lookup`. */
  lookup?: LookupFunction | undefined
  /** Pools of proxies; pools alone may be written without the word: `{ foreign: ['http://…'] }`. @default none */
  proxies?: ProxyPoolOptions | Readonly<Record<string, readonly string[]>> | undefined
  /** `User-Agent` of requests. @default 'express-artwork/0.1' */
  userAgent?: string | undefined
}

/** How images are decoded and made. */
interface TransformOptions {
  /** Pixels of a frame, and of all frames that are kept moving; more than that is a still. @default 50,000,000 */
  maxPixels?: number | undefined
  /** Pixels of an AVIF, read or made: it costs many times what others do. @default 16,000,000 */
  maxAvifPixels?: number | undefined
  /** Frames of a rendition that moves; more is 413, while the original and stills are answered. @default 100 */
  maxFrames?: number | undefined
  /** Formats that are read and made; SVG is passed through and never decoded. @default ['jpeg', 'png', 'gif', 'webp'] */
  formats?: readonly Format[] | undefined
  /**
   * Quality, 1 to 100, in each format's own scale; one number is for JPEG and WebP, and AVIF gets its equal.
   * @default { jpeg: 85, webp: 85, avif: 67 }
   */
  quality?: number | { readonly [Name in LossyFormat]?: number | undefined } | undefined
  /**
   * Effort as sharp has it, or one number for all; large images get less of it.
   * @default { webp: 4, avif: 3, gif: 7, png: 4 }
   */
  effort?: number | { readonly [Name in EffortFormat]?: number | undefined } | undefined
  /** Child processes. @default the cores, at most 4 */
  concurrency?: number | undefined
  /** Jobs that may wait; more are answered 503. @default 64 */
  queue?: number | undefined
  /** How long one job may take. @default 10 s */
  timeout?: Duration | undefined
  /** How long a job may wait; then it is answered 503 with `Retry-After`. @default 10 s */
  waitTimeout?: Duration | undefined
  /** Bytes that a child may have; one that grows over it ends with its job. @default 768 MiB */
  maxMemory?: Size | undefined
  /**
   * Whether images are decoded in child processes. `false` decodes in this one, and narrows sharp's loaders for all of it.
   * @default true
   */
  isolate?: boolean | undefined
  /** A command before each child's, such as `['setpriv', '--no-new-privs', '--']`. @default none */
  sandbox?: readonly string[] | undefined
}

/** Templates of the app in the place of the dashboard's. */
interface ManageTemplateOptions {
  /** The page around all others. */
  layout?: string | undefined
  /** Numbers and charts. */
  overview?: string | undefined
  /** The list of images. */
  images?: string | undefined
  /** All of one image. */
  image?: string | undefined
  /** The list of jobs. */
  jobs?: string | undefined
  /** One job. */
  job?: string | undefined
  /** What could not be had. */
  failures?: string | undefined
  /** What a wrong request is answered. */
  problem?: string | undefined
}

/** The management API and the dashboard. */
interface ManageOptions {
  /**
   * Who may use the management API and the dashboard: `(req) => true` lets a request in. Without it both are closed.
   * @returns true to allow; false for 403; `'unauthenticated'` for 401
   */
  authorize?:
    | ((req: IncomingMessage) => boolean | 'unauthenticated' | Promise<boolean | 'unauthenticated'>)
    | undefined
  /** Exact origins whose pages may use the management API, credentials included. @default none */
  cors?: readonly string[] | undefined
  /** Templates of the app in the place of the dashboard's pages, by their names in its environment. @default none */
  templates?: ManageTemplateOptions | undefined
}

/** Entities' images as files for media servers. */
interface ExportOptions {
  /** The folder that exported files are written into. @default nowhere */
  directory?: string | undefined
  /** The path of `export.directory` as media servers see it, where theirs is another one. @default itself */
  seenAs?: string | undefined
  /** Rights of the files, such as `'640'`: copies then, where links that everybody may read would be made. */
  mode?: number | string | undefined
}

/** When a job begins by itself. */
interface ScheduleOptions {
  /** A cron expression of five fields (six with seconds), or a name such as `@daily`. */
  cron: string
  /** IANA name of the time zone. @default that of the machine */
  timezone?: string | undefined
  /** Longest random delay; never more than a tenth of the time between two runs. @default 5 min */
  jitter?: Duration | undefined
  /** Options of the job. @default none */
  options?: Readonly<Record<string, unknown>> | undefined
}
/** A cron expression, or more of a rule; false is none. */
type ScheduleChoice = string | ScheduleOptions | false | undefined

/** When jobs begin by themselves. */
interface SchedulesOptions extends Partial<Record<ScheduledKind, ScheduleChoice>> {
  /** The app's records against what is stored; needs a `repository` with `list`. @default never */
  sync?: ScheduleChoice
  /** Asks upstream about what has aged. @default never */
  refresh?: ScheduleChoice
  /** Asks whether entities' URLs answer; needs a `repository` with `list`. @default never */
  validate?: ScheduleChoice
  /** Makes sizes before they are asked for. @default never */
  warm?: ScheduleChoice
  /** Removes what was not used for long, and orphans. @default '0 3 * * *' */
  cleanup?: ScheduleChoice
  /** Reads everything against its digest. @default never */
  verify?: ScheduleChoice
  /** Puts entities' images into `export.directory`. @default never */
  export?: ScheduleChoice
}

/** Signatures in URLs. */
interface SigningOptions {
  /** The first key signs, all verify; 16 characters at least each. @default none */
  keys?: readonly string[] | undefined
  /**
   * How long the URLs that pages print work at least; they work for twice that at most, and stay the same for that long, so that
   * browsers keep what they have. 0: for good. @default 0
   */
  expires?: Duration | undefined
}

/** What pages print. */
interface DisplayOptions {
  /**
   * Whether no page prints the URL of a source: what has no copy yet is its placeholder, and no visitor's address reaches
   * a CDN. @default false
   */
  requireLocal?: boolean | undefined
  /** How macros hold boxes and show colours: by `style` attributes, or by classes of a stylesheet. @default 'attributes' */
  styles?: 'attributes' | 'classes' | undefined
  /** What macros show until an image has come: its colour, its blurred image, or nothing. @default 'color' */
  placeholder?: 'color' | 'thumbhash' | 'none' | undefined
  /** Whether pages may report source URLs that did not answer a browser; the source is asked then. @default false */
  beacon?: boolean | undefined
}

/** The options as an app writes them: every one may be left out. */
export interface ArtworkOptions {
  /** Where images and catalogue are stored. @default './data' */
  directory?: string | undefined
  /**
   * For tests of the app itself: no network is used, and every image of a source is there at once. `true`: one of one colour;
   * else files, bytes or failures by URL. Without `directory` a temporary one is used, and removed by `close()`. @default false
   */
  offline?: boolean | Fixtures | undefined
  /** The store that several nodes share: `s3({ bucket })`. What one has fetched or made, the others read there. @default none */
  shared?: ObjectStoreSource | undefined
  /** What several nodes agree in: `redis({ url })`. One fetches for all, and hears what another purges. @default none */
  coordination?: CoordinatorSource | undefined
  /** The queue of jobs that several nodes share: `bullmq({ url })`. Each job is done by one of them. @default each node has its own */
  jobs?: JobQueueSource | undefined
  /** Where images come from: `tmdb()`, `remote({ hosts })`, `files({ root })`, `uploads({ authorize })`, `atproto()`. @default none */
  sources?: readonly Source[] | undefined
  /** Kinds of entity beside the built-in ones, and changes to those. @default none */
  entities?: Readonly<Record<string, EntityKindOptions>> | undefined
  /** The app's own records. @default none */
  repository?: Repository | undefined
  /** Names the client of a request, so that one client with many requests does not delay the others. @default the socket's address */
  clientOf?: ((req: IncomingMessage) => string | undefined) | undefined
  /** The kind of entities that do not say it themselves: `(entity) => 'artist'`. @default none */
  kindOf?: ((entity: object) => string | null | undefined) | undefined
  /** Paths and origin of what is printed and served. */
  urls?: UrlOptions | undefined
  /** Whether answers are for their client alone: `Cache-Control: private`. @default false */
  private?: boolean | undefined
  /** Whether answers say what became of them in this cache (`Cache-Status`, RFC 9211). @default true */
  cacheStatus?: boolean | undefined
  /** `CDN-Cache-Control` (RFC 9213): true, or how long CDNs keep what may change. @default false */
  cdnCacheControl?: boolean | Duration | undefined
  /** Tags by which a CDN can purge: true is `'Cache-Tag'`. @default false */
  cacheTags?: boolean | 'Cache-Tag' | 'Surrogate-Key' | 'xkey' | undefined
  /** Called with the URLs and the tags of what was purged, to purge it in front of the app. @default none */
  onPurge?: ((urls: readonly string[], tags: readonly string[]) => unknown) | undefined
  /** A client that has not taken a body over 64 KiB by then is cut off. @default 120 s */
  sendTimeout?: Duration | undefined
  /** `Access-Control-Allow-Origin` of images; false for none. @default '*' */
  cors?: string | false | undefined
  /** What is held in memory. */
  memory?: MemoryOptions | undefined
  /** What is stored on disk. */
  disk?: DiskOptions | undefined
  /** How long originals are fresh. */
  freshness?: FreshnessOptions | undefined
  /** How originals are fetched. */
  fetch?: FetchingOptions | undefined
  /** How images are decoded and made. */
  transform?: TransformOptions | undefined
  /** The management API and the dashboard. */
  manage?: ManageOptions | undefined
  /** Entities' images as files for media servers. */
  export?: ExportOptions | undefined
  /** When jobs begin by themselves: a cron expression, more of a rule, or false. @default cleanup at '0 3 * * *' */
  schedules?: SchedulesOptions | undefined
  /** Named variants. @default none */
  presets?: Readonly<Record<string, Preset>> | undefined
  /** Widths that anybody may ask for, and that macros offer; `[]` is none. @default [320, 640, 960, 1280, 1920] */
  widths?: readonly number[] | undefined
  /** Whether only listed sizes are answered without a signature; `false` is warned of. @default true */
  strict?: boolean | undefined
  /** Signatures in URLs. */
  signing?: SigningOptions | undefined
  /** How a lost image is answered meanwhile: by its placeholder, or by its public https source. @default 'placeholder' */
  heal?: 'placeholder' | 'redirect' | undefined
  /** What pages print. */
  display?: DisplayOptions | undefined
  /**
   * Images that stand for none at a provider (its grey star), by SHA-256 or ThumbHash as `getImage` tells them: they count as
   * missing. @default none
   */
  noPicture?: readonly string[] | undefined
  /**
   * The status with which an `<img>` gets the placeholder of an image that cannot be had. `'auto'`: 200 for
   * `Sec-Fetch-Dest: image`, else the true one; `'ok'`: always 200; `'error'`: always the true one. @default 'auto'
   */
  placeholderStatus?: 'auto' | 'ok' | 'error' | undefined
  /** Where is logged to; shaped like pino. @default the console */
  logger?: Logger | undefined
  /** The clock, ms since the epoch, for tests. @default Date.now */
  now?: (() => number) | undefined
}
