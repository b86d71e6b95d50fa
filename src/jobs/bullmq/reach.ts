/** Asking the shared queue, which may be away. */
import { ArtworkError } from '../../model/failure.js'
import type { Logger } from '../../model/logger.js'
import type { SharedConnection } from './keys.js'

/** See the top of the file. */
export function createReach(connection: Pick<SharedConnection, 'trouble'>, logger: Pick<Logger, 'debug'>) {
  const isAway = (): boolean => connection.trouble() !== undefined
  /** Of the shared queue, or what is said where it cannot be reached. */
  const shared = async <T>(work: () => Promise<T>, otherwise: T): Promise<T> => {
    if (isAway()) return otherwise
    try {
      return await work()
    } catch (error) {
      logger.debug({ err: error }, 'artwork jobs: the shared queue')
      return otherwise
    }
  }
  const reached = async <T>(work: () => Promise<T>): Promise<T> => {
    const reason = connection.trouble()
    if (reason !== undefined) throw new ArtworkError('unavailable', reason, { retryAfter: 5 })
    return work().catch((cause) => {
      throw new ArtworkError('unavailable', 'the job queue does not answer', { retryAfter: 5, cause })
    })
  }
  return { isAway, shared, reached }
}
