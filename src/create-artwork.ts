/** The composition root: read from top to bottom; nothing is used before it exists. */
import { randomUUID } from 'node:crypto'
import type { Environment } from 'nunjucks'
import type { Artwork } from './artwork.js'
import { createEvents } from './events.js'
import { checkPools } from './fetch/check-pools.js'
import { createFetcher } from './fetch/fetcher.js'
import { createImages } from './images/images.js'
import { createKinds } from './jobs/kinds.js'
import { createRefresher } from './jobs/refresher.js'
import { checkSchedules } from './jobs/schedules.js'
import { createJobQueue } from './jobs/sqlite/queue.js'
import { createExporter } from './library/export.js'
import { createLifecycle } from './lifecycle.js'
import { createMaintenance } from './maintenance.js'
import { createImageDetails } from './management/image-details.js'
import { createManagement } from './management/management.js'
import { createReadiness } from './management/readiness.js'
import { createCounters } from './metrics/counters.js'
import { createMetrics } from './metrics/prometheus.js'
import { createStats } from './metrics/stats.js'
import { createTimeSeries } from './metrics/time-series.js'
import { needsRepository } from './model/job-kinds.js'
import { type ArtworkOptions, ownVia, settleOptions } from './options/settings.js'
import { publicImages, publicPreload, publicRefresher, publicUploads } from './public-face.js'
import { isUploadSource } from './sources/uploads.js'
import { openStorage } from './storage.js'
import { createKeyValueCache } from './store/key-value-cache.js'
import { createRenderer } from './templates/dashboard-renderer.js'
import { createHelpers, installFilters } from './templates/filters.js'
import { createInProcess } from './transform/in-process.js'
import { createWorkerPool } from './transform/worker-pool.js'
import { createUploads } from './uploads/uploads.js'
import { viewsPath } from './views-path.js'
import { createResponseCache } from './web/images/response-cache.js'
import { createRouters } from './web/routers.js'

/**
 * Creates the toolkit. Does no slow work: what was lost on disk is rebuilt, and children are started, later.
 * @throws TypeError for a bad option, naming it, the rule and the value
 * @throws Error when `disk.required` is set and the directory cannot be used
 */
export async function createArtwork(options: ArtworkOptions = {}): Promise<Artwork> {
  const settings = settleOptions(options)
  const { logger, now, repository } = settings
  if (!settings.strict && settings.sources.some(({ freeFormats }) => freeFormats !== undefined))
    logger.warn({}, 'artwork: strict is off: anybody may ask for any size and format of any picture')
  checkSchedules(settings.schedules, (kind) => !needsRepository(kind) || repository?.list !== undefined)
  checkPools(settings)
  const source = settings.sources.find(isUploadSource)
  const events = createEvents(logger)
  const counts = createCounters(events)
  const { cache, uploadStore } = await openStorage(settings, source)
  const { store } = cache
  const metrics = createMetrics()
  const series = createTimeSeries(now)
  const fetcher = series.watchedFetcher(
    metrics.timedFetcher(createFetcher({ ...settings.fetch, via: ownVia(settings), now })),
  )
  const transformer = series.watchedTransformer(
    metrics.timedTransformer(
      settings.transform.isolate
        ? createWorkerPool({ ...settings.transform, logger })
        : createInProcess(settings.transform),
    ),
  )
  const run = randomUUID()
  const images = createImages(settings, {
    store,
    fetcher,
    transformer,
    events,
    run,
    means: { document: fetcher.document, notes: createKeyValueCache(store.keyValue), now },
    areUploadsOpen: () => uploadStore?.isOpen() !== false,
  })
  const context = { settings, store, fetcher, transformer, flights: images.singleFlight, events }
  const uploads =
    source &&
    uploadStore &&
    createUploads(context, images.resolver, source, uploadStore, {
      removeTree: images.removeTree,
      getImage: images.getImage,
    })
  const queue = createJobQueue({ directory: settings.directory, now, logger })
  const exporter = createExporter({
    store,
    directory: store.stats().durable ? settings.directory : undefined,
    mode: settings.export.mode,
    logger,
  })
  const stats = createStats({ store, fetcher, counts, uploads })
  const maintenance = createMaintenance({ ...context, resolver: images.resolver, stats })
  const kinds = createKinds({
    settings,
    store,
    images,
    verbs: maintenance,
    jobs: queue,
    exporter,
    isResting: queue.rests,
  })
  const refresher = createRefresher(settings, { events, images, queue, kinds, store })
}
