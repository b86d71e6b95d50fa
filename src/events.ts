/**
 * Events: news that may be lost without a wrong answer. Whoever needs an answer calls a function instead; what has to
 * be invalidated goes through `Coordination`.
 */
import { EventEmitter } from 'node:events'
import type { EntityId } from './model/artwork-path.js'
import type { Diagnosed } from './model/diagnostic.js'
import type { Logger } from './model/logger.js'

/** Events by their name. */
export interface EventMap {
  /** An original is stale; its address text. Heard by jobs, which revalidate it. */
  'original-stale': { readonly address: string }
  /** An entity's image is known and its bytes are gone, or other bytes would be made now. Heard by jobs. */
  'image-missing': { readonly path: string }
  /** A template printed an entity without a local image. Heard by jobs. */
  'entity-requested': {
    readonly kind: string
    readonly id: EntityId
    readonly sourceUrl: string | undefined
    readonly params: Readonly<Record<string, EntityId>> | undefined
  }
  /** The toolkit is used in a way that would otherwise be silent. Heard by the list of diagnostics. */
  diagnosed: Diagnosed
  /** An image was found. Heard by metrics, as are those below. */
  'image-served': { readonly from: 'memory' | 'disk' | 'upstream' }
  'upstream-request': Readonly<Record<string, never>>
  'image-encode': Readonly<Record<string, never>>
  /** A fetch or an encode failed. */
  'operation-failed': Readonly<Record<string, never>>
}

/** See the top of the file. */
export interface Events {
  /** Never throws, and waits for nobody. */
  emit<Name extends keyof EventMap>(name: Name, event: EventMap[Name]): void
  on<Name extends keyof EventMap>(name: Name, listener: (event: EventMap[Name]) => void): void
}

/** Makes the events of a toolkit. A listener that throws is logged, and the others are called all the same. */
export function createEvents(logger: Pick<Logger, 'error'>): Events {
  const emitter = new EventEmitter()
  return {
    emit: (name, event) => {
      emitter.emit(name, event)
    },
    on: (name, listener) => {
      emitter.on(name, (event) => {
        try {
          listener(event)
        } catch (error) {
          logger.error({ err: error, event: name }, 'artwork: a listener failed')
        }
      })
    },
  }
}
