/** Numbers of the store, of the way upstream, and of what happened since start. */
import type { Fetcher } from '../fetch/fetcher.js'
import type { ProxyStatus } from '../fetch/proxy-pool.js'
import type { Store, StoreStats } from '../store/ports.js'
import type { UploadStats } from '../uploads/upload-store.js'
import type { Counts } from './counters.js'

/** Numbers of the store and of what happened since start. */
export interface ImagesStats extends StoreStats {
  /** What was served, fetched and made since start. */
  readonly requests: Readonly<Counts>
  /** Hosts that are not asked because they failed ten times in a row. */
  readonly restingHosts: readonly string[]
  /** Proxies, and how they fare; no credentials in it. */
  readonly proxies: readonly ProxyStatus[]
  /** Uploads, where there are any. They have no part in the other numbers. */
  readonly uploads?: UploadStats
}

/** Makes the verb. */
export const createStats =
  (parts: {
    readonly store: Pick<Store, 'stats'>
    readonly fetcher: Pick<Fetcher, 'resting' | 'proxies'>
    readonly counts: Readonly<Counts>
    readonly uploads: { stats(): UploadStats } | undefined
  }) =>
  (): ImagesStats => ({
    ...parts.store.stats(),
    requests: { ...parts.counts },
    restingHosts: parts.fetcher.resting(),
    proxies: parts.fetcher.proxies(),
    ...(parts.uploads && { uploads: parts.uploads.stats() }),
  })
