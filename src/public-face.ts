/** What an app gets to see of the parts: each public verb by its name. */
import type {
  Artwork,
  ArtworkImages,
  ArtworkLocals,
  ArtworkRefresher,
  ArtworkUploads,
  PreloadOptions,
} from './artwork.js'
import type { Images } from './images/images.js'
import type { Refresher } from './jobs/refresher.js'
import type { Exporter } from './library/export.js'
import type { Management } from './management/management.js'
import { ArtworkError } from './model/failure.js'
import { readSubject } from './model/subject.js'
import { readOwnUrl } from './model/urls.js'
import type { Settings } from './options/settings.js'
import { createHtmlFunctions, type FunctionParts, SafeHtml } from './templates/functions.js'
import type { Helpers } from './templates/helpers.js'
import { createHtmlRewriter, loadParser, type Parser, type RewriterParts } from './templates/html-rewriter.js'
import { addLink, type PagePreloads, preloadLink } from './templates/preload.js'
import type { HtmlRewriter, RewriteOptions } from './templates/rewriting.js'
import type { Uploads } from './uploads/uploads.js'

/** Verbs of `artwork.images` that are not the pipeline's own. */
export type MaintenanceVerbs = Pick<
  ArtworkImages,
  'explain' | 'optimizeCache' | 'clearCache' | 'importFolder' | 'verify' | 'stats'
>

/** `artwork.images` */
export const publicImages = (images: Images, verbs: MaintenanceVerbs, helpers: Helpers): ArtworkImages => ({
  getImage: images.getImage,
  getDisplayUrl: images.getDisplayUrl,
  downloadAndCache: images.downloadAndCache,
  validateImage: images.validateImage,
  put: images.put,
  refresh: images.refresh,
  remove: images.remove,
  setFocalPoint: images.setFocalPoint,
  purge: images.purge,
  ...verbs,
  display: (subject, kind, options) => helpers.shownOf(subject, kind, options?.requireLocal).shown,
  imageUrl: (subject, variant, options) => helpers.imageUrl(subject, variant, options?.kind),
  srcset: (subject, widths, options) =>
    helpers.srcset(subject, { kind: options?.kind, widths, format: options?.format }),
})

/** `artwork.uploads` */
export const publicUploads = (uploads: Uploads, form: ArtworkUploads['form']): ArtworkUploads => ({
  form,
  save: uploads.save,
  remove: uploads.remove,
  removeAll: uploads.removeAll,
  list: uploads.list,
  fetch: (url, options) => uploads.fetch(url, options),
  proxy: (namespace, urls, options) => uploads.proxy(namespace, urls, options),
})

/** `artwork.refresher` */
export const publicRefresher = (
  { kinds }: Pick<Settings, 'kinds'>,
  refresher: Refresher,
  { failures }: Pick<Management, 'failures'>,
): ArtworkRefresher => ({
  enqueue: (kind, entity, { priority = 'normal' } = {}) => {
    const { id, sourceUrl, params } = readSubject(entity, kind, kinds)
    if (id === undefined) throw new TypeError('refresher.enqueue needs an entity with an id')
    if (!kinds.has(kind)) throw new ArtworkError('invalid', 'entity type is not known')
    return refresher.request(
      { sourceUrl, entityType: kind, entityId: id, ...(params && { params }) },
      priority,
    )
  },
  run: (kind, options = {}) => refresher.run(kind, options),
  job: (id) => refresher.get(Number(id)),
  jobs: (selection) => refresher.list({ limit: 50, ...selection }),
  events: refresher.events,
  drain: refresher.drain,
  watch: (id, signal) => refresher.watch(Number(id), signal),
  cancel: (id) => refresher.cancel(Number(id)),
  retry: (id) => refresher.retry(Number(id)),
  pause: refresher.pause,
  resume: refresher.resume,
  failures: ({ after = '', limit = 50 } = {}) => failures(after, limit),
  nodes: refresher.nodes,
  status: refresher.status,
  idle: refresher.idle,
})

/** `artwork.preload` */
export const publicPreload =
  (helpers: Helpers) =>
  (
    res: Parameters<typeof addLink>[0],
    subject: unknown,
    { kind, widths, format, sizes = '100vw', requireLocal }: PreloadOptions = {},
  ): void => {
    const asked = { kind, widths, format, require_local: requireLocal }
    const { url, from, srcset } = helpers.imageData(subject, asked)
    if (from === 'placeholder' && srcset === '') return
    const type = format === undefined || format === 'auto' || srcset === '' ? undefined : `image/${format}`
    addLink(res, preloadLink({ url, srcset, sizes, type }))
  }

/** `artwork.locals` */
export const publicLocals =
  (
    parts: FunctionParts,
    images: Pick<ArtworkImages, 'display' | 'imageUrl' | 'srcset'>,
    preloads: PagePreloads,
    files: Pick<ArtworkLocals, 'stylesheet' | 'script' | 'beacon'>,
  ): Artwork['locals'] =>
  (_req, res, next) => {
    res.locals.artwork = {
      ...createHtmlFunctions(parts, (preloaded) => preloads.addTo(res, preloaded)),
      url: (subject, kind, options) => images.display(subject, kind, options).url,
      imageUrl: images.imageUrl,
      srcset: images.srcset,
      ...files,
    } satisfies ArtworkLocals
    next()
  }

/** `artwork.rewrite` and `artwork.rewriteHtml` */
export function publicRewriting(
  parts: RewriterParts,
  settings: Pick<Settings, 'sources' | 'urls'>,
  createMiddleware: (begin: () => Promise<() => HtmlRewriter>) => ReturnType<Artwork['rewrite']>,
): Pick<Artwork, 'rewrite' | 'rewriteHtml'> {
  const { sources, urls } = settings
  /** Who writes HTML gets no signature by it: neither for a picture that is not for everybody, nor for a URL of ours. */
  const addressOf = (url: string): string | undefined => {
    const own = readOwnUrl(urls, url)
    const address = own === undefined ? parts.addressOf(url) : undefined
    const kind = address?.split('/', 1)[0] ?? ''
    return sources.some(({ kinds, access }) => access !== undefined && kinds.includes(kind))
      ? undefined
      : address
  }
  const rewriting = { ...parts, addressOf }
  let loading: Promise<Parser> | undefined
  const load = (): Promise<Parser> => {
    loading ??= loadParser('artwork.rewrite()')
    return loading
  }
  const check = ({ element }: RewriteOptions): void => {
    if (element !== undefined && element !== 'picture' && element !== 'img')
      throw new TypeError(`rewrite: element must be "picture" or "img", got ${JSON.stringify(element)}`)
  }
  return {
    rewrite: (options = {}) => {
      check(options)
      return createMiddleware(async () => {
        const parser = await load()
        return () => createHtmlRewriter(rewriting, parser, options)
      })
    },
    rewriteHtml: async (html, options = {}) => {
      check(options)
      const rewriter = createHtmlRewriter(rewriting, await load(), options)
      const bytes = Buffer.from(String(html)).toString('latin1')
      return new SafeHtml(Buffer.from(rewriter.write(bytes) + rewriter.end(), 'latin1').toString())
    },
  }
}

/** `artwork.start` */
export const publicStart =
  (settings: Pick<Settings, 'export'>, refresher: Refresher, exporter: Exporter): Artwork['start'] =>
  ({ job } = {}) => {
    if (job !== undefined && !/^\d{1,15}$/.test(job))
      throw new TypeError(`start: job must be the id of a job, got ${JSON.stringify(job)}`)
    refresher.start(job === undefined ? undefined : Number(job))
    // What changed while nobody followed is caught up with.
    const { directory } = settings.export
    if (directory === undefined) return
    const exportAll = () => void refresher.run('export', {})
    exporter.followTo(directory, exportAll)
    exportAll()
  }
