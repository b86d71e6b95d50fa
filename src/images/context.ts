/** What uploads, imports and clean-up work with. */
import type { SingleFlight } from '../concurrency.js'
import type { Events } from '../events.js'
import type { Fetcher } from '../fetch/fetcher.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import type { Transformer } from '../transform/transformer.js'

/** See the top of the file. */
export interface Context {
  readonly settings: Settings
  readonly store: Store
  readonly fetcher: Fetcher
  readonly transformer: Transformer
  readonly flights: SingleFlight
  readonly events: Pick<Events, 'emit'>
}
