/** The composition root: read from top to bottom; nothing is used before it exists. */
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type { Environment } from 'nunjucks'
import type { Artwork, ArtworkOf, TemplateEnvironment } from './artwork.js'
import { createEvents, type Events } from './events.js'
import { createFetcher, type Fetcher } from './fetch/fetcher.js'
import { loadProxyAgents } from './fetch/proxy-agents.js'
import { ANY_POOL } from './fetch/proxy-pool.js'
import { createImages, type Images } from './images/images.js'
import { listen } from './jobs/background.js'
import { mergePayload } from './jobs/downloads.js'
import { jobHandlers, needsRepository } from './jobs/kinds.js'
import { createRefresher, type Refresher } from './jobs/refresher.js'
import { checkSchedules } from './jobs/schedules.js'
import { createJobQueue } from './jobs/sqlite/queue.js'
import { createExporter } from './library/export.js'
import { createLifecycle } from './lifecycle.js'
import { createDiagnostics, type Diagnostics } from './management/diagnostics.js'
import { createImageDetails } from './management/image-details.js'
import { createMaintenance } from './management/maintenance.js'
import { createManagement } from './management/management.js'
import { createReadiness } from './management/readiness.js'
import { type Counts, createCounters } from './metrics/counters.js'
import { observedFetcher, observedTransformer } from './metrics/observe-work.js'
import { createMetrics } from './metrics/prometheus.js'
import { createStats } from './metrics/stats.js'
import { createTimeSeries, type Snapshot } from './metrics/time-series.js'
import { pathParams } from './model/artwork-path.js'
import type { JobBackend, JobQueries, NodeFacts, SharedQueue } from './model/job-queue.js'
import { BROKEN_PATH, PICTURE_SCRIPT, PICTURE_STYLESHEET } from './model/picture-style.js'
import { placeholderUrl } from './model/urls.js'
import type { ArtworkOptions } from './options/artwork-options.js'
import { ownVia, type Settings, settleOptions } from './options/settings.js'
import { loadPackagesLater, packageVersion } from './package-files.js'
import {
  publicImages,
  publicLocals,
  publicPreload,
  publicRefresher,
  publicRewriting,
  publicStart,
  publicUploads,
} from './public-face.js'
import type { Source } from './sources/source.js'
import { isUploadSource } from './sources/uploads.js'
import { checkDirectory, type Engines, openStorage } from './storage.js'
import { createKeyValueCache } from './store/key-value-cache.js'
import type { MemoryCache } from './store/memory-cache.js'
import type { Store } from './store/ports.js'
import { createRenderer } from './templates/dashboard-renderer.js'
import { createHtmlFunctions } from './templates/functions.js'
import { createHelpers } from './templates/helpers.js'
import { createMacros } from './templates/macros.js'
import { createMarkupCache } from './templates/markup-cache.js'
import { installTemplates as installInNunjucks } from './templates/nunjucks.js'
import { createPagePreloads } from './templates/preload.js'
import { createThumbhashImages } from './transform/thumbhash-image.js'
import type { Transformer } from './transform/transformer.js'
import { createWorkerPool } from './transform/worker-pool.js'
import { createUploads } from './uploads/uploads.js'
import { viewsPath } from './views-path.js'
import { imagePolicy } from './web/csp.js'
import { createResponseCache } from './web/images/response-cache.js'
import { createHtmlMiddleware } from './web/rewrite-html.js'
import { createRouters } from './web/routers.js'

/**
 * Creates the toolkit. Does no slow work: what was lost on disk is rebuilt, and children are started, later.
 * `artwork.uploads` is there where `uploads()` is listed in `sources`; in a list that is made elsewhere its type cannot tell.
 * @throws TypeError for a bad option, naming it, the rule and the value
 * @throws Error when `disk.required` is set and the directory cannot be used
 */
export async function createArtwork<const Sources extends readonly Source[] = readonly Source[]>(
  options: Omit<ArtworkOptions, 'sources'> & {
    /** Where images come from: `tmdb()`, `remote({ hosts })`, `uploads({ authorize })`, `atproto()`. @default none */
    sources?: Sources | undefined
  } = {},
): Promise<ArtworkOf<Sources>> {
  // The sources decide whether there are uploads.
  return (await create(options)) as ArtworkOf<Sources>
}

async function create(options: ArtworkOptions): Promise<Artwork> {
  const settings = settleOptions(options)
  await prepare(settings)
  const { logger, now } = settings
  const events = createEvents(logger)
  const diagnostics = openDiagnostics(settings, events)
  const counts = createCounters(events)
  const metrics = createMetrics(settings.directory)
  const series = createTimeSeries(now)
  const fetcher = observedFetcher(await openFetcher(settings), [metrics, series])
  const source = settings.sources.find(isUploadSource)
  const { cache, store, uploadStore, cluster } = await openStorage(settings, source, fetcher.hosts)
  const transformer = observedTransformer(await openDecoder(settings), [metrics, series])

  const run = randomUUID()
  const means = { document: fetcher.document, notes: createKeyValueCache(store.keyValue), now }
  const areUploadsOpen = () => uploadStore?.isOpen() !== false
  const images = createImages(settings, { store, fetcher, transformer, events, means, run, areUploadsOpen })
  const context = { settings, store, fetcher, transformer, flights: images.singleFlight, events }
  const uploads =
    source && uploadStore ? createUploads(context, images.resolver, source, uploadStore, images) : undefined

  const queue = await openJobQueue(settings, store)
  const directory = store.stats().durable ? settings.directory : undefined
  const exporter = createExporter({ store, directory, mode: settings.export.mode, logger })
  const maintenance = createMaintenance(context, images, events)
  const work = { refresh: images.refresh, heal: images.repair, download: images.downloads.download }
  const refresher = createRefresher(work, {
    concurrency: 4,
    ...{ jobs: queue, ...(queue.nodes && { nodes: queue.nodes }) },
    paramsOf: (kind, params) => pathParams(settings.kinds.get(kind), params),
    isSame: images.presignedUrls.isSame,
    schedules: settings.schedules,
    handlers: (downloads) =>
      jobHandlers({ settings, store, images, maintenance, jobs: queue, exporter, downloads }),
    now,
    logger,
  })
  listen(events, refresher, now)
  loadPackagesLater()
  const responseCache = createResponseCache(settings, {
    bytesOf: cache.bytesOf,
    read: store.read,
    isCurrent: images.isCurrent,
    use: store.touch,
    count: (from) => events.emit('image-served', { from }),
  })
  cache.watch(responseCache.watcher)
  cache.watch({ changed: exporter.changed })

  const stats = createStats({ store, fetcher, counts, uploads })
  const engines = enginesOf(cluster, queue)
  metrics.watch({ stats, refresher: refresher.status, decoding: transformer.load, engines })
  series.watch(createSnapshot(store, queue, counts))
  const details = createImageDetails({ ...images, settings, store, run })
  const management = createManagement(settings, {
    images,
    details,
    stats,
    refresher,
    jobs: queue,
    store,
    meters: series,
    diagnostics,
  })
  const lifecycle = createLifecycle(settings, {
    store,
    finish: [metrics.close, series.close, refresher.close, images.idle, exporter.settled],
    close: [exporter.close, fetcher.close, transformer.close, store.close, () => removeTemporary(settings)],
  })
  const { readiness, degradedReasons } = createReadiness(settings, {
    store,
    transformer,
    uploads,
    isClosing: lifecycle.isClosing,
    clusterTroubles: () => [...cluster.troubles(), ...queueTroubles(queue)],
  })

  const templates = createTemplates(settings, { images, events, cache })
  const { helpers, preloads, functions } = templates
  const { uploadForm, ...routers } = await createRouters(settings, {
    images,
    uploads: uploads && source && { verbs: uploads, source },
    management,
    metrics,
    responseCache,
    dashboard: {
      render: createRenderer(viewsPath, templates.ofApp, templates.install),
      views: viewsPath,
      reasons: degradedReasons,
      startedAt: now(),
    },
    readiness,
    isClosing: lifecycle.isClosing,
    onPage: preloads.note,
    onDiagnosed: diagnostics.note,
    onBroken: (url) => images.doubt(url),
  })
  const clearCache = clearingOf(maintenance, refresher)
  const verbs = publicImages(images, { ...maintenance, clearCache, explain: details.explain, stats }, helpers)
  queue.announce?.(factsOf(refresher, degradedReasons))
  return {
    ...routers,
    images: verbs,
    html: createHtmlFunctions(functions),
    locals: publicLocals(functions, verbs, preloads, templates.files),
    addressOf: images.addressOf,
    ...publicRewriting({ ...functions, addressOf: images.addressOf }, settings, createHtmlMiddleware(logger)),
    refresher: publicRefresher(settings, refresher, management),
    ...(uploads && uploadForm && { uploads: publicUploads(uploads, uploadForm) }),
    installTemplates: templates.installInApp,
    preload: publicPreload(helpers),
    csp: () => imagePolicy(settings),
    diagnostics: diagnostics.list,
    nfo: (subject, nfoOptions = {}) => helpers.nfo(subject, nfoOptions),
    start: publicStart(settings, refresher, exporter),
    close: lifecycle.close,
  }
}

/** The queue of this node, or the one that it shares with others. @throws Error without a package that it needs */
async function openJobQueue(
  { directory, jobs, now, logger }: Settings,
  store: Pick<Store, 'close'>,
): Promise<JobBackend & Partial<SharedQueue>> {
  const local = createJobQueue({ directory, merge: mergePayload, now, logger })
  if (jobs === undefined) return local
  try {
    return await jobs.open({ local, merge: mergePayload, now, logger })
  } catch (error) {
    local.close()
    await store.close()
    throw error
  }
}

/** What this node says of itself to the others. */
const factsOf = (
  { running }: Pick<Refresher, 'running'>,
  degradedReasons: () => readonly string[],
): (() => NodeFacts) => {
  const version = packageVersion()
  return () => ({ version, running: running(), reasons: degradedReasons() })
}

/** Everything goes, and what failed is forgotten with it. */
const clearingOf =
  (
    maintenance: { clearCache(): Promise<void> },
    refresher: { forgetFailures(): void },
  ): (() => Promise<void>) =>
  async () => {
    await maintenance.clearCache()
    refresher.forgetFailures()
  }

/** The engines of the cluster, the queue among them where it is shared. */
const enginesOf = (
  { engines }: { readonly engines: Engines },
  { trouble }: Awaited<ReturnType<typeof openJobQueue>>,
): Engines => ({
  ...engines,
  up: () => new Map([...engines.up(), ...(trouble ? [['job queue', trouble() === undefined] as const] : [])]),
})

const queueTroubles = ({ trouble }: Awaited<ReturnType<typeof openJobQueue>>): readonly string[] => {
  const cut = trouble?.()
  return cut === undefined ? [] : [`this node does its own jobs alone: ${cut}`]
}

/** What the charts of the dashboard are drawn from. */
const createSnapshot =
  (store: Pick<Store, 'stats'>, queue: Pick<JobQueries, 'counts'>, counts: Readonly<Counts>) =>
  (): Snapshot => {
    const { bytes, memory } = store.stats()
    const { queued, running } = queue.counts()
    return { requests: { ...counts }, bytes, memoryBytes: memory.bytes, queued, running }
  }

/** What templates print, and the way to install it in an environment of Nunjucks. */
function createTemplates(
  settings: Settings,
  { images, events, cache }: { images: Images; events: Events; cache: Pick<MemoryCache, 'watch'> },
) {
  const kept = createMarkupCache(images.trace, settings.now)
  cache.watch(kept.watcher)
  const parts = { images, settings, events, thumbhashUrl: createThumbhashImages() }
  const helpers = createHelpers(parts, kept)
  const macros = createMacros(parts, helpers, kept)
  const preloads = createPagePreloads()
  const files = {
    stylesheet: placeholderUrl(settings.urls, PICTURE_STYLESHEET),
    script: placeholderUrl(settings.urls, PICTURE_SCRIPT),
    beacon: settings.display.beacon ? placeholderUrl(settings.urls, BROKEN_PATH) : '',
  }
  const globals = Object.fromEntries(Object.entries(files).map(([name, url]) => [`artwork_${name}`, url]))
  const installed = { settings, helpers, macros, preloads, files: globals }
  const install = (environment: Environment): void => installInNunjucks(environment, installed)
  let appEnvironment: Environment | undefined
  return {
    helpers,
    functions: { macros, imageData: helpers.imageData },
    files,
    preloads,
    install,
    /** Into the app's own environment, which its dashboard is rendered with too. */
    installInApp: (given: TemplateEnvironment): void => {
      // It is told by an interface of our own, so that an app needs no types of Nunjucks.
      const environment = given as Environment
      appEnvironment = environment
      install(environment)
    },
    ofApp: (): Environment | undefined => appEnvironment,
  }
}

/** The list of mistakes, which hears of those that events tell, and of what the directory allows. */
function openDiagnostics(settings: Settings, events: Events): Diagnostics {
  const { logger, now } = settings
  const isDevelopment = process.env.NODE_ENV !== 'production'
  const diagnostics = createDiagnostics({ logger, now, isDevelopment })
  events.on('diagnosed', diagnostics.note)
  checkDirectory(settings, diagnostics.note)
  return diagnostics
}

/** Checks what options come to together, and loads what sources need. */
async function prepare({ strict, sources, schedules, repository, logger }: Settings): Promise<void> {
  if (!strict && sources.some(({ freeFormats }) => freeFormats !== undefined))
    logger.warn({}, 'artwork: strict is off: anybody may ask for any size and format of any picture')
  checkSchedules(schedules, (kind) => !needsRepository(kind) || repository?.list !== undefined)
  await Promise.all(sources.map((source) => source.prepare?.()))
}

/** Removes the directory that is this toolkit's alone. */
async function removeTemporary({ isTemporary, directory, logger }: Settings): Promise<void> {
  if (!isTemporary) return
  await rm(directory, { recursive: true, force: true }).catch((error) =>
    logger.warn({ err: error }, 'artwork: the temporary directory could not be removed'),
  )
}

/** What decodes images. sharp is loaded here only where it decodes in this process. */
async function openDecoder({ transform, logger }: Settings): Promise<Transformer> {
  if (transform.isolate) return createWorkerPool({ ...transform, logger })
  return (await import('./transform/in-process.js')).createInProcess(transform)
}

/** @throws TypeError for a source whose pool there is not */
async function openFetcher(settings: Settings): Promise<Fetcher> {
  const { offline, now } = settings
  if (offline !== false) {
    const { createOfflineFetcher } = await import('./fetch/offline-fetcher.js')
    return createOfflineFetcher({ ...settings.fetch, now }, offline === true ? undefined : offline)
  }
  const fetcher = createFetcher({
    ...settings.fetch,
    lookup: settings.fetch.lookup,
    proxyAgents: settings.fetch.proxies && (await loadProxyAgents()),
    via: ownVia(settings),
    now: settings.now,
  })
  const pools = fetcher.pools()
  for (const { name, pool } of settings.sources)
    if (pool !== undefined && pool !== ANY_POOL && !pools.includes(pool)) {
      fetcher.close()
      throw new TypeError(`${name}.pool must name a pool of fetch.proxies, got ${JSON.stringify(pool)}`)
    }
  return fetcher
}
