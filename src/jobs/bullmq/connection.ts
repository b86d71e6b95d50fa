/** What is open to Redis: the two queues of BullMQ, and the connection that they share. */
import { createBreaker } from '../../store/shared/breaker.js'
import { PREFIX, type RedisConnectionOptions } from '../../store/shared/redis-client.js'
import { type Bull, keysOf, type LaneQueue, type SharedConnection } from './keys.js'

/** Opens the queues over a connection. */
export function openConnection(
  { prefix = PREFIX, url }: RedisConnectionOptions,
  redis: SharedConnection['redis'],
  bull: Bull,
): SharedConnection {
  const keys = keysOf(prefix)
  const queueOf = (name: string): LaneQueue => {
    const queue: LaneQueue = new bull.Queue(name, {
      ...{ connection: redis, prefix: keys.bull },
      // Who is asked while Redis cannot answer would refuse ever after.
      skipVersionCheck: true,
    })
    queue.on('error', () => {})
    return queue
  }
  const breaker = createBreaker('the job queue', { threshold: 2, openFor: 1000 })
  const { host } = new URL(url)
  return {
    ...{ bull, redis, keys, run: breaker.run },
    queues: { task: queueOf('tasks'), job: queueOf('long') },
    trouble: () =>
      redis.status !== 'ready'
        ? `the job queue at ${host} cannot be reached`
        : // Once it has been left alone for a while, the next call finds out.
          breaker.isOpen()
          ? breaker.reason()
          : undefined,
  }
}
