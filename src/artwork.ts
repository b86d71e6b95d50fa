/** What an app has in hand: the toolkit's own interfaces. */
import type { RequestListener, ServerResponse } from 'node:http'
import type { RequestHandler, Router } from 'express'
import type { Displayed } from './images/display-url.js'
import type { DownloadRequest, SaveImageResult } from './images/download.js'
import type { Image } from './images/images.js'
import type { Purged, PurgeTarget } from './images/purge.js'
import type { OptimizeOptions, OptimizeResult, OptimizeWatch } from './jobs/cleanup.js'
import type { Enqueued, Priority, RefresherEvent, RefresherStatus } from './jobs/refresher.js'
import type { ImportOptions, ImportReport } from './library/import.js'
import type { NfoOptions } from './library/nfo.js'
import type { Diagnostic } from './management/diagnostics.js'
import type { Explained } from './management/explain.js'
import type { KnownFailure } from './management/failures.js'
import type { ImagesStats } from './metrics/stats.js'
import type { Address } from './model/address.js'
import type { FocalPoint } from './model/focal-point.js'
import type { JobKind } from './model/job-kinds.js'
import type { Awaitable, ClusterNode, Job, JobSelection } from './model/job-queue.js'
import type { OneOf } from './model/one-of.js'
import type { EntityLike } from './model/repository.js'
import type { UploadSource } from './sources/uploads.js'
import type { VerifyOptions, VerifyReport } from './store/ports.js'
import type { ArtworkHtml, SafeHtml } from './templates/functions.js'
import type { RewriteOptions } from './templates/rewriting.js'
import type {
  FetchedImage,
  FetchOptions,
  ProxiedImages,
  StoredUpload,
  UploadPage,
} from './uploads/uploads.js'
import type { ImagePolicy } from './web/csp.js'
import type { UploadFormOptions } from './web/uploads/upload-form.js'

export type { FormFields, FormUpload, UploadFormOptions } from './web/uploads/upload-form.js'

/** How a picture is printed in code. */
export interface PrintOptions {
  /** Kind of the subject, where it does not say itself. */
  readonly kind?: string | undefined
  /** Format token of candidates: `auto`, `webp` … @default 'auto' */
  readonly format?: string | undefined
  /** Never the source's own URL. @default false */
  readonly requireLocal?: boolean | undefined
}

/**
 * What templates print, for code, with the answers of the filters: `image_display_url` is `display`, `image_url` is `imageUrl`,
 * `image_srcset` is `srcset`. None of them throws.
 */
export interface ArtworkPrinters {
  /**
   * What to print for a subject, and what it is: its local copy, else its source, else a placeholder. Sides in pixels.
   * @param subject an entity, a URL, an artwork path, or an address without its variant (`poster/abc.jpg`)
   */
  display(subject: unknown, kind?: string, options?: Pick<PrintOptions, 'requireLocal'>): Displayed
  /** The URL of a picture in a variant; left out: the size that the subject tells, else the usual one. */
  imageUrl(subject: unknown, variant?: string, options?: Pick<PrintOptions, 'kind'>): string
  /** Candidates for a `srcset`, by pixel widths; left out: all that are offered. '' where there are none. */
  srcset(
    subject: unknown,
    widths?: readonly number[],
    options?: Pick<PrintOptions, 'kind' | 'format'>,
  ): string
}

/** Verbs over everything that is stored. */
export interface ArtworkMaintenance {
  /**
   * Why a picture is answered as it is. An address may be a URL that we printed, or an artwork path: then it is its original
   * that is explained.
   * @throws ArtworkError `invalid` (400), `refused` (403), `unknown_image` (404)
   */
  explain(
    target: OneOf<{
      /** A canonical address, a URL that we printed, or an artwork path. */
      readonly address: Address | string
      /** A source URL, or one that we printed. */
      readonly url: string
    }>,
  ): Explained
  /** Removes what was not used for long, orphans and damaged copies. */
  optimizeCache(options?: OptimizeOptions, watch?: OptimizeWatch): Promise<OptimizeResult>
  /** Forgets everything that can be fetched again. */
  clearCache(): Promise<void>
  /** Imports pictures that are files already. @throws ArtworkError `invalid` (400) for a folder that is none */
  importFolder(folder: string, options?: ImportOptions): Promise<ImportReport>
  /** Checks every stored byte against its digest, slowly, and mends what it finds; an interrupted run is gone on with. */
  verify(options?: VerifyOptions): Promise<VerifyReport>
  /** Numbers of what is stored, and of what happened since start. */
  stats(): ImagesStats
}

/** The verbs of images. */
export interface ArtworkImages extends ArtworkPrinters, ArtworkMaintenance {
  /**
   * The image of an address, fetched and made where it is not stored.
   * @throws ArtworkError any row of the table of errors
   */
  getImage(address: Address | string, options?: GetImageOptions): Promise<Image>
  /**
   * What URL to print, synchronously: the local copy, else the source, else the placeholder of the type.
   * @param sourceUrl the entity's own URL
   * @param localPath its artwork path
   * @param entityType an entity kind; an unknown one has the plain placeholder
   */
  getDisplayUrl(
    sourceUrl: string | null | undefined,
    localPath: string | null | undefined,
    entityType: string,
    options?: {
      /** Never lets the source's URL out. @default false */
      requireLocal?: boolean
    },
  ): string
  /** Fetches an entity's picture, makes it and names it. Never throws: see `status` and `reason`. */
  downloadAndCache(request: DownloadRequest): Promise<SaveImageResult>
  /** Whether a URL answers with an image: HEAD, and a ranged GET where HEAD is refused. Never throws. */
  validateImage(url: string): Promise<boolean>
  /**
   * Keeps given bytes as the original of an address.
   * @throws ArtworkError `unsupported` (415), `invalid_image` (422), `too_large` (413), `disk_write` (503)
   */
  put(address: Address | string, bytes: Uint8Array): Promise<Image>
  /**
   * Asks upstream about an image now; when it changed, what was made from it is made again.
   * @returns whether its bytes are others now
   * @throws ArtworkError any row that has to do with an upstream; what is stored stays
   */
  refresh(address: Address | string): Promise<Refreshed>
  /** Forgets an image and everything made from it. Answers whether it was there. */
  remove(address: Address | string): Promise<boolean>
  /**
   * Says what of a picture stays in sight where it is cut to a shape; without a point nothing of it any more. It is kept with the
   * original, and holds for its next state.
   * @param point whole per cent of width and height, from the upper left corner
   * @throws TypeError for what is no point; ArtworkError as `getImage` does
   */
  setFocalPoint(address: Address | string, point: FocalPoint | undefined): Promise<void>
  /**
   * Takes images away with every rendition, memory included, and tells `onPurge`. An address may be a URL that we
   * printed, or an artwork path: then every picture of its entity goes, originals included.
   * @throws ArtworkError `invalid` (400), `refused` (403) or `unknown_image` (404) for a target that nothing has
   */
  purge(target: PurgeTarget): Promise<Purged>
}

/** What a caller of `getImage` may say. */
export interface GetImageOptions {
  /** What `Accept` of the client says; an `-auto` variant chooses its format by it. */
  readonly accept?: string | undefined
  /** Aborted when nobody waits any more. */
  readonly signal?: AbortSignal | undefined
  /** Answers from what is stored, or not at all (504). @default false */
  readonly onlyIfCached?: boolean | undefined
  /** Which client it is for, so that clients take turns. */
  readonly client?: string | undefined
}

/** What asking upstream about an image came to. */
export interface Refreshed {
  /** Whether its bytes are others now. */
  readonly changed: boolean
}
/** The background worker. */
export interface ArtworkRefresher {
  /**
   * Queues an entity's picture: its URL is read from its fields. Works after `artwork.start()`.
   * @returns whether it was taken, and why not
   */
  enqueue(
    kind: string,
    entity: EntityLike,
    options?: {
      /** What is queued before what. @default 'normal' */
      priority?: Priority
    },
  ): Enqueued
  /**
   * Queues a long job: `sync`, `refresh`, `validate`, `warm`, `cleanup`, `verify`, `export` or `import`. One that is queued already with
   * the same options is not queued again. `sync` and `validate` fail at once where there is no repository with `list`.
   * @throws TypeError for no kind of job
   */
  run(kind: JobKind, options?: Readonly<Record<string, unknown>>): Enqueued
  /** A piece of work, undefined where it is not known (any more). A promise of it where nodes share the queue. */
  job(id: string): Awaitable<Job | undefined>
  /** Pieces of work, newest first. A promise of them where nodes share the queue. */
  jobs(selection?: Partial<JobSelection>): Awaitable<readonly Job[]>
  /** Follows a piece of work until it has ended: each time it has come on, what it is then. */
  watch(id: string, signal?: AbortSignal): AsyncIterable<Job>
  /** Cancels what waits, and asks what runs to stop. Answers whether there was something. */
  cancel(id: string): Awaitable<boolean>
  /** Queues once more what failed or was cancelled. Answers whether it was that. */
  retry(id: string): Awaitable<boolean>
  /** What happens in the queue, from now on: long jobs as they come on, and its numbers; first how it stands. */
  events(signal?: AbortSignal): AsyncIterable<RefresherEvent>
  /** Begins nothing new, in no process of the directory, until `resume`. Survives a restart. */
  pause(): Awaitable<void>
  /** Takes and begins new work again, after `pause` or `drain`. */
  resume(): Awaitable<void>
  /**
   * Takes nothing new in this process until `resume`, and waits until what is queued has been done.
   * @returns how much is left: 0, unless the queue is paused or was not started, or what is left needs a `repository`
   *   and this process has none
   */
  drain(): Promise<number>
  /** What could not be had, why, and when it is tried again: some of pictures, some of entities. */
  failures(options?: {
    /** `next` of the page before. @default the first page */
    readonly after?: string
    /** Most of a page. @default 50 */
    readonly limit?: number
  }): {
    /** A page of them. */
    readonly failures: readonly KnownFailure[]
    /** What to ask the next page with, as `after`. */
    readonly next: string | undefined
  }
  /** The nodes that share the queue (`jobs: bullmq(…)`), each with its version and its health; none where it is not shared. */
  nodes(): Awaitable<readonly ClusterNode[]>
  /** Numbers of the queue, and how it stands. */
  status(): RefresherStatus
  /** Resolves when nothing that may run is queued or running. */
  idle(): Promise<void>
}

/** The verbs of uploads for the app's own code. */
export interface ArtworkUploads {
  /**
   * Stores an image in a namespace. When it resolves the image is on disk, and stays until it is removed. The same bytes
   * are the same image.
   * @throws ArtworkError `invalid` (400) for no namespace, `too_large` (413), `unsupported` (415),
   * `invalid_image` (422), `disk_write` (503)
   */
  save(namespace: string, bytes: Uint8Array): Promise<StoredUpload>
  /** Removes an image and what was made from it. Answers whether it was there. @throws ArtworkError */
  remove(namespace: string, imageId: string): Promise<boolean>
  /** Removes every image of a namespace. Answers how many there were. @throws ArtworkError */
  removeAll(namespace: string): Promise<number>
  /** Images of a namespace, in the order of their ids. @throws ArtworkError */
  list(
    namespace: string,
    page?: {
      /** Only those after this id. @default from the first one */
      after?: string
      /** 1 to 1,000. @default 100 */
      limit?: number
    },
  ): Promise<UploadPage>
  /** Fetches an image from any public host, fitted into the box of fetched images. @throws ArtworkError */
  fetch(url: string, options?: FetchOptions): Promise<FetchedImage>
  /** Fetches images and keeps them in a namespace. @throws ArtworkError for no namespace or an unknown pool */
  proxy(namespace: string, urls: readonly string[], options?: FetchOptions): Promise<ProxiedImages>
  /**
   * Middleware for a route of the app that takes a plain form (`method="post" enctype="multipart/form-data"`) and stores its
   * pictures in a namespace, by the rules of that: all of them or, where anything is wrong, none.
   * `req.artworkUploads` has what was stored and `req.body` the text fields. Then it redirects (`redirect`), answers JSON
   * (`json`), or lets the app's handler go on; a failure is passed on as an `ArtworkError` with its `status` in that case.
   *
   * Who may send the form is for the app to say: mount its log-in check before it, and check a CSRF token, which is a field
   * of the same body, in `authorize`. `authorize` of `uploads()` is about the JSON API, and not asked here. What browsers say
   * comes from another site is refused (403), unless `uploads({ cors })` names its origin. Mount it before what reads bodies.
   * @throws TypeError for no namespace, or a wrong option
   */
  form(namespace: string, options?: UploadFormOptions): RequestHandler
}

/** How a picture will be printed that is to be preloaded. */
export interface PreloadOptions {
  /** Kind of the subject, where it does not say itself. */
  readonly kind?: string
  /** Pixel widths of the `srcset`, or true for all that are offered. @default none */
  readonly widths?: readonly number[] | true
  /** `auto`, as `img` prints, or `webp`, as `picture` does. @default 'auto' */
  readonly format?: string
  /** The `sizes` that belong to it. @default '100vw' */
  readonly sizes?: string
  /** Never the source's own URL. @default false */
  readonly requireLocal?: boolean
}

/** What of an environment of Nunjucks is used: its own types are needed by nobody who does not use it. */
export interface TemplateEnvironment {
  /** Adds a filter. */
  addFilter(name: string, filter: (...given: never[]) => unknown): unknown
  /** Adds a global. */
  addGlobal(name: string, value: unknown): unknown
  /** The filter of a name. */
  getFilter(name: string): (...given: never[]) => unknown
}

/** What `artwork.locals` puts among the `locals` of a response, as `artwork`. */
export interface ArtworkLocals extends ArtworkHtml {
  /** What to print for a subject: its local copy, else its source, else a placeholder. */
  url(subject: unknown, kind?: string, options?: Pick<PrintOptions, 'requireLocal'>): string
  /** See {@link ArtworkPrinters.imageUrl}. */
  readonly imageUrl: ArtworkPrinters['imageUrl']
  /** See {@link ArtworkPrinters.srcset}. */
  readonly srcset: ArtworkPrinters['srcset']
  /** URL of the stylesheet of pictures. */
  readonly stylesheet: string
  /** URL of the script of pictures. */
  readonly script: string
  /** Where that reports to, '' where it does not. */
  readonly beacon: string
}

/** A toolkit in operation. */
export interface Artwork {
  /** Images, and what pages print for them. */
  readonly images: ArtworkImages
  /** The background worker. */
  readonly refresher: ArtworkRefresher
  /** Uploads; there where `uploads()` is among the sources. */
  readonly uploads?: ArtworkUploads
  /** Everything under its configured paths: `/artwork/local`, `/images`, `/static/images/placeholder*.svg`. */
  readonly router: Router
  /** `/{path}`: local artwork alone, for another mount path. */
  readonly localRouter: Router
  /** `/{kind}/{variant}/{id}` alone, for another mount path. */
  readonly imagesRouter: Router
  /**
   * The fast lane: a request listener for `http.createServer` that answers again what is in memory or on disk (GET, HEAD, 304,
   * 206, negotiated) before Express is entered, and gives everything else to the app. It answers only what `router`
   * answered before, with the same bytes and fields; the app's own middleware does not see those requests.
   */
  listener(app: RequestListener): RequestListener
  /** `/health`, `/ready` and `/metrics`, for whoever watches the process. */
  readonly healthRouter: Router
  /**
   * The management API, closed unless `manage.authorize` opens it, with the dashboard below `/dashboard`; and, open to
   * all, the API's own description: `/openapi.json`, and `/docs` to read and try it. Mount it at `/api/images`.
   */
  readonly manageRouter: Router
  /** The dashboard alone, for another mount path; closed as the management API is. */
  readonly dashboardRouter: Router
  /** Adds the filters to a Nunjucks environment. */
  installTemplates(environment: TemplateEnvironment): void
  /** The macros as functions, for other template engines and for code. */
  readonly html: ArtworkHtml
  /**
   * Middleware that puts `artwork` among the `locals` of a response, for templates of any engine: `html`, with `priority`
   * announced in the head of this response, and what filters and globals of Nunjucks give.
   */
  readonly locals: RequestHandler
  /**
   * Middleware: `<img>` in the HTML of what comes after it becomes a full picture, where its URL is one of a source; everything
   * else is passed on byte by byte, as it is written. Needs the package `parse5-sax-parser`.
   * @throws TypeError for a bad option
   */
  rewrite(options?: RewriteOptions): RequestHandler
  /** The same for a text of HTML, such as a field of a CMS. @throws Error without the package `parse5-sax-parser` */
  rewriteHtml(html: string, options?: RewriteOptions): Promise<SafeHtml>
  /**
   * The address of a picture by its URL, upstream's or one that we printed under `/images`: `https://image.tmdb.org/t/p/w342/abc.jpg` is
   * `poster/w342/abc.jpg`. Undefined for what no source has.
   */
  addressOf(url: string): string | undefined
  /**
   * Adds `Link: rel=preload; as=image` for a picture above the fold, with what `img` and `picture` print for it.
   * @param subject an entity, a URL or an artwork path, as in templates
   */
  preload(res: ServerResponse, subject: unknown, options?: PreloadOptions): void
  /**
   * The directives of a Content Security Policy that pages with images of these sources need, `img-src` among them. With
   * helmet: `directives: { ...helmet.contentSecurityPolicy.getDefaultDirectives(), ...artwork.csp() }`.
   */
  csp(): ImagePolicy
  /**
   * Mistakes in how the toolkit is used that a page does not show: a host that is not listed, `start()` that was not called, a
   * size that is not offered. The latest first, each with the option or the call that mends it. The dashboard lists them too;
   * each is logged once in development, and one an hour at most where `NODE_ENV` is `production`.
   */
  diagnostics(): readonly Diagnostic[]
  /**
   * The element of an NFO file for a picture: `<thumb aspect="poster">…</thumb>` or `<fanart><thumb>…</thumb></fanart>`,
   * with the path of its exported file; '' where there is none, and no URL either.
   */
  nfo(subject: unknown, options?: NfoOptions): string
  /**
   * Lets the background work begin: entities that were queued, and those that templates show without a local picture.
   * @param options.job the only long job that this process works on; left out: any. `idle` and `drain` wait for the
   *   others too, which other processes do
   * @throws TypeError for an id that can be none
   */
  start(options?: {
    /** Id of the only long job that this process works on. @default any */
    readonly job?: string
  }): void
  /** Finishes what runs, writes what is to be written, and lets go of everything. The process can end after it. */
  close(): Promise<void>
}

/** A toolkit among whose sources `uploads()` is. */
export interface ArtworkWithUploads extends Artwork {
  /** Uploads. */
  readonly uploads: ArtworkUploads
}

/** Whether `uploads()` is certainly in a list of sources, as its type tells. */
type HasUploads<Sources> = Sources extends
  | readonly [UploadSource, ...unknown[]]
  | readonly [...unknown[], UploadSource]
  ? true
  : Sources extends readonly [unknown, ...infer Rest] | readonly [...infer Rest, unknown]
    ? HasUploads<Rest>
    : false

/** What `createArtwork` makes with a list of sources: `uploads` is there where `uploads()` is written in that list. */
export type ArtworkOf<Sources> =
  true extends HasUploads<Sources>
    ? false extends HasUploads<Sources>
      ? Artwork
      : ArtworkWithUploads
    : Artwork
