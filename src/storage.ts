/** Opens what is kept: the cache on disk under a memory cache, and uploads beside it. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Coordinator, SharedHosts } from './model/coordinator.js'
import { type Diagnosed, directoryReadable } from './model/diagnostic.js'
import type { Settings } from './options/settings.js'
import type { UploadSource } from './sources/uploads.js'
import { createDiskStore } from './store/disk/store.js'
import { createMemoryCache, type MemoryCache } from './store/memory-cache.js'
import { createMemoryStore } from './store/memory-store.js'
import type { Store } from './store/ports.js'
import { createReopeningStore } from './store/reopening-store.js'
import { openSharedTier, type SharedTier } from './store/shared/shared-tier.js'
import { type ClusterParts, withCoordinator } from './store/shared/with-coordinator.js'
import { createWriteBehind } from './store/write-behind.js'
import { type SharedUploads, withSharedUploads } from './uploads/shared-uploads.js'
import { createUploadStore, type UploadStore } from './uploads/upload-store.js'
import { withUploads } from './uploads/with-uploads.js'

/** A directory that is not open by then is logged, ms. */
const SLOW_OPEN_MS = 5000

/** What is open. */
export interface Storage {
  readonly cache: MemoryCache
  /** All of it: what is written behind answers above that. */
  readonly store: Store
  readonly uploadStore: UploadStore | undefined
  readonly cluster: Cluster
}

/**
 * Opens the directory; where it cannot be used, images are kept in memory, with a warning, and it is tried again.
 * @param hosts which hosts rest, as nodes share it
 * @throws Error when `disk.required` is set and the directory cannot be used
 */
export async function openStorage(
  settings: Settings,
  source: UploadSource | undefined,
  hosts: SharedHosts,
): Promise<Storage> {
  const { directory, disk, memory, now, logger } = settings
  let cache: MemoryCache | undefined
  const onChange = (changed: readonly string[] | 'all') => cache?.forget(changed)
  const slow = setTimeout(
    () => logger.warn({}, `artwork: ${directory} is being opened, which takes long`),
    SLOW_OPEN_MS,
  ).unref()
  const uploads = source && (await openUploads(settings, source, onChange))
  const open = () => createDiskStore({ directory, ...disk, now, logger, onChange })
  let local: Store
  try {
    local = await open()
  } catch (error) {
    if (disk.required) {
      await uploads?.close()
      throw new Error(`disk.required is set and ${directory} cannot be used`, { cause: error })
    }
    logger.warn({ err: error }, `artwork: ${directory} cannot be used, pictures are kept in memory only`)
    const bounds = { maxBytes: Math.max(memory.maxBytes, 1), maxNames: disk.maxNames }
    const meanwhile = createMemoryStore({ ...bounds, now })
    local = createReopeningStore({ meanwhile, open, logger, onOpen: () => onChange('all') })
  } finally {
    clearTimeout(slow)
  }
  const cluster = await joinCluster(local, uploads, settings, { onChange, hosts }).catch(async (error) => {
    await Promise.all([local.close(), uploads?.close()])
    throw error
  })
  const uploadStore = cluster.uploads
  const all = uploadStore === undefined ? cluster.store : withUploads(cluster.store, uploadStore)
  cache = createMemoryCache(all, memory)
  const store = createWriteBehind(cache.store, { changed: cache.forget })
  return { cache, store, uploadStore, cluster }
}

/** What this node has in common with others. */
export interface Cluster {
  /** The store of this node, with what it shares. */
  readonly store: Store
  /** Uploads, where there are any. */
  readonly uploads: UploadStore | undefined
  /** Why this node works without the others at the moment. */
  troubles(): readonly string[]
  readonly engines: Engines
}

/** What nodes share: whether each of it works, by its name, and the changes that the shared store does not have yet. */
export interface Engines {
  up(): ReadonlyMap<string, boolean>
  waiting(): number
}

/** Opens what nodes share, around the store of this one. @throws Error without a package that it needs */
async function joinCluster(
  local: Store,
  uploads: UploadStore | undefined,
  { shared, coordination, directory, logger, now }: Settings,
  own: Pick<ClusterParts, 'onChange' | 'hosts'>,
): Promise<Cluster> {
  const journalDirectory = local.stats().durable ? directory : undefined
  const tier =
    shared && (await openSharedTier(local, { source: shared, directory: journalDirectory, logger, now }))
  const alone = tier?.store ?? local
  const share = (publish: Coordinator['publish']): SharedUploads | undefined =>
    uploads &&
    tier &&
    shared &&
    withSharedUploads(uploads, {
      ...{ objects: tier.objects, prefix: shared.prefix, logger },
      removed: async (key) => {
        await tier.remove(key)
        publish({ what: 'dropped', keys: [key] })
      },
    })
  if (coordination === undefined)
    return {
      store: alone,
      uploads: share(() => {}) ?? uploads,
      troubles: () => troublesOf(tier, undefined),
      engines: enginesOf(tier, undefined),
    }
  let sharedUploads: SharedUploads | undefined
  const { store, coordinator } = await withCoordinator(alone, {
    ...{ local, tier, logger, ...own },
    dropped: async (keys) => {
      for (const key of keys) if (uploads?.isUpload(key)) await uploads.delete(key)
    },
    missed: async () => sharedUploads?.missed(),
    open: coordination.open,
  })
  sharedUploads = share(coordinator.publish)
  return {
    store,
    uploads: sharedUploads ?? uploads,
    troubles: () => troublesOf(tier, coordinator),
    engines: enginesOf(tier, coordinator),
  }
}

const enginesOf = (
  tier: Pick<SharedTier, 'trouble' | 'pending'> | undefined,
  coordinator: Pick<Coordinator, 'trouble'> | undefined,
): Engines => ({
  up: () =>
    new Map([
      ...(tier ? [['shared store', tier.trouble() === undefined] as const] : []),
      ...(coordinator ? [['coordinator', coordinator.trouble() === undefined] as const] : []),
    ]),
  waiting: () => tier?.pending() ?? 0,
})

const troublesOf = (
  tier: Pick<SharedTier, 'trouble' | 'objects'> | undefined,
  coordinator: Pick<Coordinator, 'trouble'> | undefined,
): readonly string[] => {
  const failing = tier?.trouble()
  const cut = coordinator?.trouble()
  return [
    ...(failing === undefined
      ? []
      : [`${tier?.objects.name} fails: this node works without it (${failing})`]),
    ...(cut === undefined ? [] : [`nodes work alone: ${cut}`]),
  ]
}

/** Notes a directory that other users of the machine may look into: one of the app's own is made so that they cannot. */
export function checkDirectory(
  { directory }: Pick<Settings, 'directory'>,
  note: (found: Diagnosed) => void,
): void {
  const mode = process.platform === 'win32' ? 0 : modeOf(directory)
  if ((mode & OTHERS_MAY_READ) !== 0) note(directoryReadable(directory, `mode ${(mode & 0o777).toString(8)}`))
}
const OTHERS_MAY_READ = 0o004

/** The mode of a directory; 0 for what is none, or cannot be looked at: that is found out when it is opened. */
function modeOf(directory: string): number {
  try {
    const stats = statSync(directory)
    return stats.isDirectory() ? stats.mode : 0
  } catch {
    return 0
  }
}

async function openUploads(
  { directory, now, logger }: Settings,
  source: UploadSource,
  onChange: (changed: readonly string[] | 'all') => void,
): Promise<UploadStore> {
  const uploadStore = createUploadStore({
    directory: source.uploads.directory ?? join(directory, 'uploads'),
    isOwn: source.uploads.directory === undefined,
    owns: (kind) => source.kinds.includes(kind) || source.owns?.(kind) === true,
    logger,
    now,
    onChange,
  })
  await uploadStore.ready().catch((error) => {
    logger.error(
      { err: error },
      'artwork: the directory of uploads cannot be used, it is tried again at each upload',
    )
  })
  return uploadStore
}
