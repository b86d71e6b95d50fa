/** What the parts of the store on disk share; each takes the few of them that it needs. */
import type { ProcessRegistry } from '../../database/process-registry.js'
import type { Logger } from '../../model/logger.js'
import type { Bounds } from '../ports.js'
import type { Catalogue } from './catalogue.js'
import type { Contents } from './contents.js'

/** What happened since start. */
export interface Counts {
  evictions: number
  badCopies: number
  writeFailures: number
  leftovers: number
}

/** See the top of the file. */
export interface DiskParts {
  readonly contents: Contents
  readonly processes: ProcessRegistry
  /** The catalogue as it is now: it is opened anew when its file was lost or damaged. */
  catalogue(): Catalogue
  /** Whether a catalogue is still the one that all processes use. */
  isCurrent(catalogue: Catalogue): boolean
  readonly bounds: Bounds
  readonly logger: Logger
  /** Called with the keys that changed without a call of the store's user. */
  changed(names: readonly string[] | 'all'): void
  /** Writes last uses down, before anything is chosen by them. */
  flush(): void
  isClosed(): boolean
  /** Called with what failed in the background; a damaged catalogue is opened anew. */
  onError(what: string, error: unknown): void
  readonly counts: Counts
}
