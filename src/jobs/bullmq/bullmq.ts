/** BullMQ over Redis (6.2 or later) or Valkey, as the queue of jobs that several nodes share. */
import type { JobQueueSource } from '../../model/job-queue.js'
import { refuseMissing } from '../../model/optional-package.js'
import { checkConnection, checkLeaseTime, connectTo } from '../../store/shared/redis-client.js'
import type { BullmqOptions } from './keys.js'

const OPTIONS: readonly string[] = ['url', 'prefix', 'timeout', 'leaseTime'] satisfies (keyof BullmqOptions)[]

/**
 * A queue of jobs that all nodes work off, each job once. Its Redis must not evict (`maxmemory-policy noeviction`), and has to keep what
 * it has over a restart (`appendonly yes`).
 * @throws TypeError for a bad option
 */
export function bullmq(options: BullmqOptions): JobQueueSource {
  checkConnection('bullmq', options, OPTIONS)
  checkLeaseTime('bullmq', options)
  return {
    open: async (parts) => {
      const connect = await connectTo(options, 'bullmq()')
      const bull = await import('bullmq').catch((error) => refuseMissing(error, 'bullmq', 'bullmq()'))
      const { openSharedQueue } = await import('./open.js')
      return openSharedQueue(options, connect, bull, parts)
    },
  }
}
