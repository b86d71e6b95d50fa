/** express-artwork: the composition root, read from top to bottom, and every public name. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import express from 'express'
import type { Environment } from 'nunjucks'
import type { Artwork, ArtworkImages, ArtworkUploads } from './artwork.js'
import { createFetcher } from './fetch/fetcher.js'
import { ANY_POOL } from './fetch/proxy-pool.js'
import { createImages, type Images } from './images/images.js'
import { createKinds } from './jobs/kinds.js'
import { createRefresher, type Enqueued, type Priority, type Refresher } from './jobs/refresher.js'
import { checkSchedules } from './jobs/schedules.js'
import { createJobQueue } from './jobs/sqlite/queue.js'
import { createExporter } from './library/export.js'
import { createManagement } from './management/management.js'
import { createMetrics } from './metrics/prometheus.js'
import { createTimeSeries } from './metrics/time-series.js'
import { needsRepository } from './model/job-kinds.js'
import { readSubject } from './model/subject.js'
import { textOf } from './model/text.js'
import { type ArtworkOptions, ownVia, type Settings, settleOptions } from './options/settings.js'
import { isUploadSource, type UploadSource } from './sources/uploads.js'
import { createDiskStore } from './store/disk/store.js'
import { createMemoryCache, type MemoryCache } from './store/memory-cache.js'
import { createMemoryStore } from './store/memory-store.js'
import type { Store } from './store/ports.js'
import { createReopeningStore } from './store/reopening-store.js'
import { createRenderer } from './templates/dashboard-renderer.js'
import { createHelpers, type Helpers, type TemplateParts } from './templates/helpers.js'
import { installFilters } from './templates/nunjucks.js'
import { addLink, preloadLink } from './templates/preload.js'
import { createInProcess } from './transform/in-process.js'
import { createWorkerPool } from './transform/worker-pool.js'
import { createUploadStore, type UploadStore } from './uploads/upload-store.js'
import type { Uploads } from './uploads/uploads.js'
import { withUploads } from './uploads/with-uploads.js'
import { createDashboardRouter } from './web/dashboard/dashboard-router.js'
import { createHealthRouter, type Readiness } from './web/health-router.js'
import { createLocalRouter } from './web/images/artwork-router.js'
import { createCaseCheck } from './web/images/case-check.js'
import { createImagesRouter } from './web/images/images-router.js'
import { createListener } from './web/images/listener.js'
import { createPlaceholderRouter } from './web/images/placeholders.js'
import { createResponseCache } from './web/images/response-cache.js'
import { createManageRouter } from './web/management/management-router.js'
import { createUploadRouter } from './web/uploads/uploads-router.js'

export type {
  Artwork,
  ArtworkImages,
  ArtworkPrinters,
  ArtworkRefresher,
  ArtworkUploads,
  PreloadOptions,
  PrintOptions,
} from './artwork.js'
export type { ProxyStatus } from './fetch/proxy-pool.js'
export type { CachePolicy } from './http/response.js'
export type { Displayed } from './images/display-url.js'
export type { DownloadRequest, SaveImageResult } from './images/entity-images.js'
export type { Image, ImagesStats } from './images/images.js'
export type { Purged, PurgeTarget } from './images/purge.js'
export type { OptimizeOptions, OptimizeResult } from './jobs/cleanup.js'
export type { Job, JobSelection, JobState, Lane, Schedule } from './jobs/ports.js'
export type { Enqueued, Priority, RefresherEvent, RefresherStatus } from './jobs/refresher.js'
export type { ScheduleRule, ScheduleStatus } from './jobs/schedules.js'
export type { ExportReport } from './library/export.js'
export type { ImportOptions, ImportReport } from './library/import.js'
export type { NfoOptions } from './library/nfo.js'
export type { Explained, ExplainedName } from './management/explain.js'
export type { KnownFailure } from './management/management.js'
export type { Address } from './model/address.js'
export type { EntityId } from './model/artwork-path.js'
export type { EntityKindOptions } from './model/entity.js'
export { ArtworkError, type ErrorCode, type Reason } from './model/failure.js'
export { JOB_KINDS, type JobKind, needsRepository } from './model/job-kinds.js'
export type { FetchRequest } from './model/location.js'
export type { Logger } from './model/logger.js'
export type { Format } from './model/media-type.js'
export type { EntityLike, EntityPage, Repository, SavedImage } from './model/repository.js'
export { signAddress } from './model/signature.js'
export type { Preset, Recipe, Variant } from './model/variant.js'
export { type Environment as ArtworkEnvironment, optionsFromEnv } from './options/env.js'
export type { ArtworkOptions } from './options/settings.js'
export { type AtprotoOptions, atproto, type Identity } from './sources/atproto.js'
export { type RemoteOptions, remote } from './sources/remote.js'
export type { Checked, Means, Question, Source } from './sources/source.js'
export { type TmdbOptions, tmdb } from './sources/tmdb.js'
export { type NamespaceOptions, type UploadAction, type UploadsOptions, uploads } from './sources/uploads.js'
export type { VerifyOptions, VerifyReport } from './store/ports.js'
export type {
  FetchedImage,
  FetchOptions,
  ProxiedImages,
  StoredUpload,
  UploadPage,
} from './uploads/uploads.js'

/** Where this file is. @throws Error in a bundle that does not know */
function ownUrl(url: string | undefined): string {
  if (url !== undefined) return url
  throw new Error(
    'express-artwork cannot be part of a CommonJS bundle: leave it out (esbuild: --external:express-artwork)',
  )
}

/** Directory of the Nunjucks macros: give it to your loader beside your own views. */
export const viewsPath: string = fileURLToPath(new URL('../views', ownUrl(import.meta.url)))

const CLOSE_WITHIN = 20_000
/** A directory that is not open by then is told of, ms. */
const TOLD_AFTER = 5000
/** Longest time that a timer takes, ms. */
const LONGEST_TIMER = 2 ** 31 - 1

/**
 * Creates the toolkit. Does no slow work: what was lost on disk is rebuilt, and children are started, later.
 * @throws TypeError for a bad option, naming it, the rule and the value
 * @throws Error when `disk.required` is set and the directory cannot be used
 */
export async function createArtwork(options: ArtworkOptions = {}): Promise<Artwork> {
  const settings = settleOptions(options)
  const { logger, now, kinds } = settings
  if (!settings.strict && settings.sources.some(({ freeFormats }) => freeFormats !== undefined))
    logger.warn({}, 'artwork: strict is off: anybody may ask for any size and format of any picture')
  checkSchedules(
    settings.schedules,
    (kind) => !needsRepository(kind) || settings.repository?.list !== undefined,
  )
  const uploadSource = settings.sources.find(isUploadSource)
  const { layer, shelf } = await openStore(settings, uploadSource)
  const metrics = createMetrics()
  const meters = createTimeSeries(now)
  const fetcher = metrics.timedFetcher(
    createFetcher({
      ...settings.fetch,
      lookup: settings.fetch.lookup,
      proxies: settings.fetch.proxies,
      via: ownVia(settings),
      now,
    }),
  )
  const transformer = metrics.timedTransformer(
    settings.transform.isolate
      ? createWorkerPool({ ...settings.transform, logger })
      : createInProcess(settings.transform),
  )

  for (const { name, pool } of settings.sources)
    if (pool !== undefined && pool !== ANY_POOL && !fetcher.pools().includes(pool)) {
      fetcher.close()
      await layer.store.close()
      throw new TypeError(`${name}.pool must name a pool of fetch.proxies, got ${JSON.stringify(pool)}`)
    }

  // Images find originals stale and artwork lost; the refresher acts on it. Each is handed the other's verbs here.
  const images: Images = createImages(
    settings,
    {
      store: layer.store,
      fetcher: meters.watchedFetcher(fetcher),
      transformer: meters.watchedTransformer(transformer),
      uploads: uploadSource && shelf && { source: uploadSource, shelf },
    },
    {
      stale: (address) => refresher.stale(address),
      lost: (path) => refresher.lost(path),
    },
  )
  const jobs = createJobQueue({
    directory: settings.directory,
    now,
    logger,
  })
  const exporter = createExporter({
    store: layer.store,
    directory: layer.store.stats().durable ? settings.directory : undefined,
    mode: settings.export.mode,
    logger,
  })
  layer.watch({ changed: exporter.changed, evicted: () => {} })
  const refresher: Refresher = createRefresher(
    { refresh: images.refresh, heal: images.repair, download: images.artworks.download },
    {
      concurrency: 4,
      jobs,
      paramsOf: (kind, params) => {
        const names = kinds.get(kind)?.params ?? []
        const named = Object.entries(params).filter(([name]) => names.includes(name))
        return Object.fromEntries(named.map(([name, value]) => [name, String(value)]))
      },
      isSame: images.isSamePicture,
      schedules: settings.schedules,
      kinds: createKinds({
        settings,
        store: layer.store,
        images,
        jobs,
        exporter,
        refresher: () => refresher,
      }),
      now,
      logger,
    },
  )

  meters.watch(() => {
    const { bytes, memory } = layer.store.stats()
    const { queued, running } = jobs.counts()
    return { requests: images.requests(), bytes, memoryBytes: memory.bytes, queued, running }
  })
  metrics.watch({ stats: images.stats, refresher: refresher.status, decoding: transformer.load })

  const hot = createResponseCache(settings, {
    keepsBytes: layer.keepsBytes,
    isCurrent: images.isCurrent,
    use: layer.store.touch,
    count: images.countHit,
  })
  layer.watch(hot.watcher)
  // What does not work is to be known before the first picture is asked for.
  if (settings.transform.isolate && settings.transform.sandbox.length > 0) void images.probe()
  const router = express.Router({ caseSensitive: true })
  router.use((req, res, next) => {
    // A URL that was rewritten on its way stands for something else than the same one as it was sent.
    const isAsSent = req.baseUrl + req.url === req.originalUrl
    if (!isAsSent || !hot.answer(req.originalUrl, req, res)) next()
  })
  router.use(createCaseCheck(settings))
  router.use(settings.urls.local, createLocalRouter(images, settings, hot))
  const { hosting } = images
  if (uploadSource !== undefined && hosting !== undefined)
    router.use(settings.urls.images, createUploadRouter(hosting, uploadSource, settings))
  router.use(settings.urls.images, createImagesRouter(images, settings, hot))
  router.use(settings.urls.placeholders, createPlaceholderRouter(settings))

  const sweeps = settings.sources.flatMap(({ kinds, idle }) =>
    idle === undefined || idle.maxIdle === 0 || idle.sweepEvery === 0
      ? []
      : [
          setInterval(
            () => {
              images
                .expire(kinds, idle.maxIdle)
                .catch((error) =>
                  logger.error({ err: error }, 'artwork: looking for what nobody uses failed'),
                )
            },
            Math.min(idle.sweepEvery, LONGEST_TIMER),
          ).unref(),
        ],
  )
  let closing: Promise<void> | undefined
  /** What is amiss that can be told without trying. */
  const troubles = (): readonly string[] => {
    const { rebuilding, durable, paused } = images.stats()
    return [
      ...(paused === undefined ? [] : [`${paused}: nothing new is kept for a minute`]),
      ...(rebuilding ? ['the catalogue was lost and is being rebuilt'] : []),
      ...(durable ? [] : ['the directory cannot be used: pictures are kept in memory only']),
    ]
  }
  const condition = async (): Promise<Readiness> => {
    if (closing !== undefined) return { status: 'closing', reasons: ['shutting down'] }
    const { paused } = images.stats()
    const amiss = troubles()
    const { keeps, keepsUploads, decodes } = await images.probe()
    const failing = [
      ...(decodes ? [] : [['pictures cannot be decoded', transformer.trouble()].filter(Boolean).join(': ')]),
      ...(keepsUploads ? [] : ['uploads cannot be kept']),
    ]
    const reasons = [
      ...failing,
      ...(keeps || paused !== undefined ? [] : ['nothing new can be kept']),
      ...amiss,
    ]
    const status = failing.length > 0 ? 'failing' : reasons.length > 0 ? 'degraded' : 'ready'
    return { status, reasons }
  }
  const close = async (): Promise<void> => {
    for (const sweep of sweeps) clearInterval(sweep)
    meters.close()
    await within(CLOSE_WITHIN, refresher.close().then(images.idle).then(exporter.settled))
    await exporter.close()
    fetcher.close()
    await transformer.close()
    await layer.store.close()
  }
  const enqueue = (kind: string, entity: unknown, priority: Priority): Enqueued => {
    const { id, sourceUrl, params } = readSubject(entity, kind, kinds)
    if (id === undefined) throw new TypeError('refresher.enqueue needs an entity with an id')
    images.artworks.kindOf(kind)
    return refresher.request({ sourceUrl, entityType: kind, entityId: id, params }, priority)
  }
  const clearCache = async (): Promise<void> => {
    await images.clearCache()
    refresher.forgetFailures()
  }
  const templates: TemplateParts = {
    images,
    settings,
    onWanted: ({ kind, id, sourceUrl, params }) => {
      if (kind === undefined || id === undefined || !refresher.isStarted()) return
      refresher.want({ sourceUrl, entityType: kind.kind, entityId: id, params })
    },
  }
  const questions = createHelpers(templates)
  let appEnvironment: Environment | undefined
  const management = createManagement(settings, {
    images,
    refresher,
    jobs,
    store: layer.store,
    meters,
  })
  const dashboardRouter = createDashboardRouter(settings, {
    management,
    render: createRenderer(
      viewsPath,
      () => appEnvironment,
      (environment) => installFilters(environment, templates),
    ),
    views: viewsPath,
    reasons: () => troubles(),
  })
  return {
    images: publicImages({ ...images, clearCache }, questions),
    refresher: {
      enqueue: (kind, entity, { priority = 'normal' } = {}) => enqueue(kind, entity, priority),
      run: (kind, jobOptions = {}) => refresher.run(kind, jobOptions),
      job: (id) => refresher.get(Number(id)),
      jobs: (selection) => refresher.list({ limit: 50, ...selection }),
      events: refresher.events,
      drain: refresher.drain,
      watch: (id, signal) => refresher.watch(Number(id), signal),
      cancel: (id) => refresher.cancel(Number(id)),
      retry: (id) => refresher.retry(Number(id)),
      pause: refresher.pause,
      resume: refresher.resume,
      failures: ({ after = '', limit = 50 } = {}) => management.failures(after, limit),
      status: refresher.status,
      idle: refresher.idle,
    },
    router,
    localRouter: createLocalRouter(images, settings),
    imagesRouter:
      uploadSource === undefined || hosting === undefined
        ? createImagesRouter(images, settings)
        : express
            .Router()
            .use(createUploadRouter(hosting, uploadSource, settings), createImagesRouter(images, settings)),
    ...(hosting && { uploads: publicUploads(hosting) }),
    listener: createListener({ hot, logger, isClosing: () => closing !== undefined }),
    healthRouter: createHealthRouter(condition, metrics),
    manageRouter: createManageRouter(settings, management, uploadSource !== undefined, dashboardRouter),
    dashboardRouter,
    installTemplates: (environment) => {
      appEnvironment = environment
      installFilters(environment, templates)
    },
    preload: (res, subject, { kind, widths, format, sizes = '100vw', requireLocal } = {}) => {
      const asked = { kind, widths, format, require_local: requireLocal }
      const { url, from, srcset } = questions.imageData(subject, asked)
      if (from === 'placeholder' && srcset === '') return
      const type = format === undefined || format === 'auto' || srcset === '' ? undefined : `image/${format}`
      addLink(res, preloadLink({ url, srcset, sizes, type }))
    },
    start: ({ job } = {}) => {
      if (job !== undefined && !/^\d{1,15}$/.test(job))
        throw new TypeError(`start: job must be the id of a job, got ${JSON.stringify(job)}`)
      refresher.start(job === undefined ? undefined : Number(job))
      // What changed while nobody followed is caught up with.
      const { directory } = settings.export
      const exportAll = () => void refresher.run('export', {})
      if (directory === undefined) return
      exporter.followTo(directory, exportAll)
      exportAll()
    },
    nfo: (subject, nfoOptions = {}) => questions.nfo(subject, nfoOptions),
    close: () => {
      closing ??= close()
      return closing
    },
  }
}

/** The store on disk under the memory layer, uploads beside it; a directory that cannot be used leaves memory alone, with a warning. */
async function openStore(
  settings: Settings,
  source: UploadSource | undefined,
): Promise<{ layer: MemoryCache; shelf: UploadStore | undefined }> {
  const { directory, disk, memory, now, logger } = settings
  let layer: MemoryCache | undefined
  const onChange = (changed: readonly string[] | 'all') => layer?.forget(changed)
  const shelf =
    source &&
    createUploadStore({
      directory: source.uploads.directory ?? join(directory, 'uploads'),
      isOwn: source.uploads.directory === undefined,
      owns: (kind) => source.kinds.includes(kind) || source.owns?.(kind) === true,
      logger,
      now,
      onChange,
    })
  const slow = setTimeout(
    () => logger.warn({}, `artwork: ${directory} is being opened, which takes long`),
    TOLD_AFTER,
  ).unref()
  await shelf?.ready().catch((error) => {
    logger.error(
      { err: error },
      'artwork: the directory of uploads cannot be used, it is tried again at each upload',
    )
  })
  const beside = (store: Store): Store => (shelf === undefined ? store : withUploads(store, shelf))
  const open = () => createDiskStore({ directory, ...disk, now, logger, onChange })
  try {
    layer = createMemoryCache(beside(await open()), memory)
  } catch (error) {
    if (disk.required) await shelf?.close()
    if (disk.required)
      throw new Error(`disk.required is set and ${directory} cannot be used`, { cause: error })
    logger.warn({ err: error }, `artwork: ${directory} cannot be used, pictures are kept in memory only`)
    const bounds = { maxBytes: Math.max(memory.maxBytes, 1), maxNames: disk.maxNames }
    const meanwhile = createMemoryStore({ ...bounds, now })
    const store = createReopeningStore({ meanwhile, open, logger, onOpen: () => onChange('all') })
    layer = createMemoryCache(beside(store), memory)
  } finally {
    clearTimeout(slow)
  }
  return { layer, shelf }
}

/** What of the pipeline is for the app's own code. */
function publicImages(images: Images, questions: Helpers): ArtworkImages {
  const { getImage, getDisplayUrl, downloadAndCache, validateImage, put, refresh, remove, purge } = images
  const { explain, optimizeCache, clearCache, importFolder, verify, stats } = images
  const verbs = { getImage, getDisplayUrl, downloadAndCache, validateImage, put, refresh, remove, purge }
  return {
    ...verbs,
    explain,
    optimizeCache,
    clearCache,
    importFolder,
    verify,
    stats,
    display: (subject, kind, options) => questions.show(subject, kind, options?.requireLocal).shown,
    imageUrl: (subject, variant, options) => questions.imageUrl(subject, variant, options?.kind),
    srcset: (subject, widths, options) => {
      const name = questions.nameOf(subject, options?.kind)
      return questions.srcset(name, questions.widthsOf(name, widths), textOf(options?.format) ?? 'auto')
    },
  }
}

/** What of hosting is for the app's own code. */
const publicUploads = ({ save, remove, removeAll, list, fetch, proxy }: Uploads): ArtworkUploads => ({
  save,
  remove,
  removeAll,
  list,
  fetch: (url, options) => fetch(url, options),
  proxy: (namespace, urls, options) => proxy(namespace, urls, options),
})

/** Waits for the work, but not for longer than this, ms. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, late]).finally(() => clearTimeout(timer))
}
