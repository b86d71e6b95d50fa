/** What the parts of the pipeline share: the four ports, the settings, and what is counted. */

import type { SingleFlight } from '../concurrency.js'
import type { Fetcher } from '../fetch/fetcher.js'
import type { Entry } from '../model/entry.js'
import type { Settings } from '../options/settings.js'
import type { Means } from '../sources/source.js'
import type { Store } from '../store/ports.js'
import type { Transformer } from '../transform/transformer.js'

/** What has happened since start. */
export interface Counts {
  memoryHits: number
  diskHits: number
  misses: number
  upstreamRequests: number
  encodes: number
  failures: number
}

/** What the pipeline tells to whoever works in the background. */
export interface Notices {
  /** An original (its address text) was found stale and should be asked about again. */
  stale(address: string): void
  /** An artwork path is known, but its bytes are gone. */
  lost(path: string): void
}

/** Handed to each part by `images.ts`. */
export interface Context {
  readonly settings: Settings
  readonly store: Store
  readonly fetcher: Fetcher
  readonly transformer: Transformer
  readonly flights: SingleFlight
  readonly counts: Counts
  readonly tell: Notices
  /** Whether it can be known which uploads there are. */
  readonly areUploadsOpen: () => boolean
  /** What sources may ask for. */
  readonly means: Means
  /** Names this run of the app: what its settings refused, another run judges anew. */
  readonly run: string
}

/** How an answer came about, for `Age` and `Cache-Status` (RFC 9111 §5.1, RFC 9211). */
export interface Forward {
  /** Why upstream was asked: nothing was held, or what was held had aged. */
  readonly why: 'miss' | 'stale'
  /** What upstream answered, where it answered and this asker was the one that asked. */
  readonly status: number | undefined
  /** Whether it waited for what another asker had begun. */
  readonly collapsed: boolean
}

/** An image in hand: its entry, its bytes, and where they came from. */
export interface Obtained {
  readonly entry: Entry
  readonly bytes: Buffer
  readonly from: 'memory' | 'disk' | 'upstream'
}
