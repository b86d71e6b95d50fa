/** express-artwork: every public name. */
export type {
  Artwork,
  ArtworkImages,
  ArtworkLocals,
  ArtworkOf,
  ArtworkPrinters,
  ArtworkRefresher,
  ArtworkUploads,
  ArtworkWithUploads,
  FormFields,
  FormUpload,
  GetImageOptions,
  PreloadOptions,
  PrintOptions,
  Refreshed,
  TemplateEnvironment,
  UploadFormOptions,
} from './artwork.js'
export { createArtwork } from './create-artwork.js'
export type { ProxyStatus } from './fetch/proxy-pool.js'
export type { CachePolicy } from './http/caching.js'
export type { Displayed } from './images/display-url.js'
export type { DownloadRequest, SaveImageResult } from './images/download.js'
export type { Image } from './images/images.js'
export type { Purged, PurgeTarget } from './images/purge.js'
export { bullmq } from './jobs/bullmq/bullmq.js'
export type { BullmqOptions } from './jobs/bullmq/keys.js'
export type { OptimizeOptions, OptimizeResult } from './jobs/cleanup.js'
export { needsRepository } from './jobs/kinds.js'
export type { Enqueued, Priority, RefresherEvent, RefresherStatus } from './jobs/refresher.js'
export type { ScheduleRule, ScheduleStatus } from './jobs/schedules.js'
export type { ExportReport } from './library/export.js'
export type { ImportOptions, ImportReport } from './library/import.js'
export type { NfoOptions } from './library/nfo.js'
export type { Diagnostic } from './management/diagnostics.js'
export type { Explained, ExplainedName } from './management/explain.js'
export type { KnownFailure } from './management/failures.js'
export { type ClusterMetrics, clusterMetrics } from './metrics/cluster.js'
export type { ImagesStats } from './metrics/stats.js'
export type { Address } from './model/address.js'
export type { EntityId } from './model/artwork-path.js'
export type { EntityKindOptions } from './model/entity.js'
export { ArtworkError, type ErrorCode, type Reason } from './model/failure.js'
export type { Fixture, Fixtures } from './model/fixtures.js'
export type { FocalPoint, Position } from './model/focal-point.js'
export { JOB_KINDS, type JobKind } from './model/job-kinds.js'
export type {
  Awaitable,
  ClusterNode,
  Job,
  JobSelection,
  JobState,
  Lane,
  Schedule,
} from './model/job-queue.js'
export type { FetchRequest, FileLocation, Location } from './model/location.js'
export type { Logger } from './model/logger.js'
export type { Format } from './model/media-type.js'
export type { EntityLike, EntityPage, Repository, SavedImage } from './model/repository.js'
export { signAddress } from './model/url-signature.js'
export type { Preset, Recipe, Variant } from './model/variant.js'
export type { ArtworkOptions, Duration, Size } from './options/artwork-options.js'
export { type Environment as ArtworkEnvironment, optionsFromEnv } from './options/env.js'
export type { Access, AccessOptions } from './sources/access.js'
export { type AtprotoOptions, atproto, type Identity } from './sources/atproto.js'
export { type FilesOptions, files } from './sources/files.js'
export { type RemoteOptions, remote } from './sources/remote.js'
export type { Checked, Means, Question, Source } from './sources/source.js'
export { type TmdbOptions, tmdb } from './sources/tmdb.js'
export { type NamespaceOptions, type UploadAction, type UploadsOptions, uploads } from './sources/uploads.js'
export type { VerifyOptions, VerifyReport } from './store/ports.js'
export { checkSharedStore, type SharedReport, setUpSharedStore } from './store/shared/maintain.js'
export { type RedisOptions, redis } from './store/shared/redis.js'
export { type S3Options, s3 } from './store/shared/s3.js'
export {
  type ArtworkHtml,
  type AvatarOptions,
  type BackgroundOptions,
  type CutOptions,
  type ImgOptions,
  type PictureOptions,
  type PreloadLinkOptions,
  SafeHtml,
} from './templates/functions.js'
export type { ImageData } from './templates/helpers.js'
export type { RewriteOptions } from './templates/rewriting.js'
export type {
  FetchedImage,
  FetchOptions,
  ProxiedImages,
  StoredUpload,
  UploadPage,
} from './uploads/uploads.js'
export { viewsPath } from './views-path.js'
