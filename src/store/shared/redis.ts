/**
 * Redis (6.2 or later) or Valkey as the coordinator of several nodes: leases as keys that expire, and a stream of changes that each
 * node reads from where it stopped, so that a connection that was lost costs nothing but time.
 */
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis as Client } from 'ioredis'
import { within } from '../../concurrency.js'
import type { Coordinator, CoordinatorListener, CoordinatorSource } from '../../model/coordinator.js'
import { createBreaker } from './breaker.js'
import {
  type Connect,
  checkConnection,
  checkLeaseTime,
  connectTo,
  PREFIX,
  type RedisConnectionOptions,
  TIMEOUT,
} from './redis-client.js'
import { createFeed, type Feed } from './redis-feed.js'

/** Where Redis is, and how long a lease lasts. */
export interface RedisOptions extends RedisConnectionOptions {
  /** How long a node that has died holds a lease, ms. @default 10 s */
  readonly leaseTime?: number
}

const OPTIONS: readonly string[] = ['url', 'prefix', 'timeout', 'leaseTime'] satisfies (keyof RedisOptions)[]
const LEASE_TIME = 10_000
/** A node that has a lease for longer than any fetch and encode may last is not waited for, ms. */
const PATIENCE = 60_000
/** Leases are looked at again after this, ms, though nobody said that they are free. */
const POLLED_EVERY = 500

/** A node says so often that it is there, ms, and is gone when it did not for so long, s. */
const PRESENT_EVERY = 5000
const GONE_AFTER = 15
/** By the clock of Redis, whatever those of the nodes say. Answers how many there are. */
const PRESENT = `local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now - tonumber(ARGV[2]))
return redis.call('ZCARD', KEYS[1])`

/** Who had a lease last is known for as long, ms: longer than any work that has one. */
const FENCE_TIME = 3_600_000
/** What another has done just now is known for as long, ms: longer than what it had not done may be remembered. */
const DONE_TIME = 10_000

/** Takes a lease that nobody has. Answers its fence, 0 where somebody has it, and whether somebody had it a moment ago. */
const TAKE = `local taken = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
if not taken then return {0, 0} end
local fence = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[4], fence, 'PX', ARGV[3])
return {fence, redis.call('EXISTS', KEYS[3])}`
/** Whether nobody has had the lease since. */
const IS_LATEST = `if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end
return 0`
const EXTEND = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0`
const RELEASE = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[3], '1', 'PX', ARGV[2])
return redis.call('PUBLISH', KEYS[2], KEYS[1])`

function check(options: RedisOptions): void {
  checkConnection('redis', options, OPTIONS)
  checkLeaseTime('redis', options)
}

/**
 * Redis or Valkey, which nodes agree in.
 * @throws TypeError for a bad option
 */
export function redis(options: RedisOptions): CoordinatorSource {
  check(options)
  return {
    open: async (listener) => createCoordinator(await connectTo(options, 'redis()'), options, listener),
  }
}

/** A lease that this node has, and when that was known last, by a clock that goes on while the process is stopped. */
interface Mine {
  readonly token: string
  renewedAt: number
}

/** Leases, of which this node extends those that it has. */
function createLeases(
  client: Client,
  waker: Client,
  options: Required<RedisOptions>,
  node: string,
  run: <T>(call: () => Promise<T>) => Promise<T>,
) {
  const { prefix, leaseTime } = options
  const fence = `${prefix}fence`
  const channel = `${prefix}released`
  const mine = new Map<string, Mine>()
  const waiters = new Map<string, Set<() => void>>()
  let count = 0

  const wake = (key: string): void => {
    for (const resolve of waiters.get(key) ?? []) resolve()
  }
  waker.on('message', (_channel, key: string) => wake(key))
  const listen = (): void => void waker.subscribe(channel).catch(() => {})
  waker.on('ready', listen)
  const renewal = setInterval(() => {
    for (const [key, lease] of mine)
      client.eval(EXTEND, 1, key, lease.token, leaseTime).then(
        (isOurs) => {
          lease.renewedAt = isOurs === 1 ? performance.now() : Number.NEGATIVE_INFINITY
        },
        () => {},
      )
  }, leaseTime / 3).unref()
  /** Asked of Redis where the lease was not renewed in time: this process was stopped, or Redis was away. */
  const isHeld = async (key: string, lease: Mine, fence: number): Promise<boolean> => {
    if (performance.now() - lease.renewedAt < leaseTime) return true
    try {
      return (await run(() => client.eval(IS_LATEST, 1, `${key}:fence`, fence))) === 1
    } catch {
      // Each node works for itself.
      return true
    }
  }
  const released = async (key: string, signal: AbortSignal | undefined): Promise<void> => {
    const controller = new AbortController()
    const stop = () => controller.abort()
    const known = waiters.get(key) ?? new Set()
    waiters.set(key, known.add(stop))
    signal?.addEventListener('abort', stop, { once: true })
    await sleep(POLLED_EVERY, undefined, { signal: controller.signal }).catch(() => {})
    signal?.removeEventListener('abort', stop)
    known.delete(stop)
    if (known.size === 0) waiters.delete(key)
  }
  const release = (key: string, token: string): void => {
    mine.delete(key)
    client.eval(RELEASE, 3, key, channel, `${key}:done`, token, DONE_TIME).catch(() => {
      // It expires.
    })
  }
  const lease: Coordinator['lease'] = async (name, signal) => {
    const key = `${prefix}lease:${createHash('sha256').update(name).digest('base64url')}`
    count += 1
    const token = `${node} ${count}`
    const startedAt = performance.now()
    let waited = false
    try {
      while (performance.now() - startedAt < PATIENCE && !signal?.aborted) {
        const [taken, isDone] = await run(async () => {
          const answer = await client.eval(
            TAKE,
            4,
            key,
            fence,
            `${key}:done`,
            `${key}:fence`,
            token,
            leaseTime,
            FENCE_TIME,
          )
          return answer as [number, number]
        })
        if (taken > 0) {
          const own: Mine = { token, renewedAt: performance.now() }
          mine.set(key, own)
          return {
            waited: waited || isDone > 0,
            fence: taken,
            isHeld: () => isHeld(key, own, taken),
            release: () => release(key, token),
          }
        }
        waited = true
        await released(key, signal)
      }
    } catch {
      // Each node works for itself.
    }
    return { waited, fence: undefined, isHeld: async () => true, release: () => {} }
  }
  return {
    lease,
    close: (): void => {
      clearInterval(renewal)
      for (const [key, { token }] of mine) release(key, token)
    },
  }
}

/** Says every few seconds that this node is there. Answers how many there are. @param answered called when Redis has answered */
function createPresence(
  client: Client,
  prefix: string,
  node: string,
  answered: () => void,
): { readonly count: () => number; readonly begin: () => void; readonly leave: () => Promise<void> } {
  const key = `${prefix}nodes`
  let count = 1
  const say = async (): Promise<void> => {
    try {
      count = Math.max(1, Number(await client.eval(PRESENT, 1, key, node, GONE_AFTER)))
      answered()
    } catch {
      // Who the others are cannot be known.
      count = 1
    }
  }
  const timer = setInterval(() => void say(), PRESENT_EVERY).unref()
  return {
    count: () => count,
    begin: () => void say(),
    leave: async () => {
      clearInterval(timer)
      await client.zrem(key, node).catch(() => {})
    },
  }
}

async function createCoordinator(
  connect: Connect,
  given: RedisOptions,
  listener: CoordinatorListener,
): Promise<Coordinator> {
  const options = { prefix: PREFIX, timeout: TIMEOUT, leaseTime: LEASE_TIME, ...given }
  const client = connect({ commandTimeout: options.timeout })
  const waker = connect()
  const reader = connect()
  const { host } = new URL(options.url)
  const breaker = createBreaker('the coordinator', { threshold: 2, openFor: 1000 })
  // Another one at each start: what an earlier process said is not this one's.
  const node = randomUUID()
  const leases = createLeases(client, waker, options, node, breaker.run)
  const feed: Feed = createFeed(client, reader, options.prefix, node, listener)
  // Where nobody asks for a lease, this finds out that it works again.
  const probe = (): void => {
    if (breaker.reason() !== undefined) void breaker.run(() => client.ping()).catch(() => {})
  }
  const presence = createPresence(client, options.prefix, node, probe)
  client.on('ready', presence.begin)
  // Where it cannot be reached now, this node begins anew once it can.
  await within(
    options.timeout,
    once(client, 'ready')
      .then(feed.begin)
      .catch(() => {}),
  )
  feed.start()
  return {
    lease: leases.lease,
    publish: feed.publish,
    published: feed.published,
    nodes: presence.count,
    trouble: () => (client.status === 'ready' ? breaker.reason() : `redis at ${host} cannot be reached`),
    close: async () => {
      leases.close()
      await Promise.all([feed.close(), presence.leave()])
      for (const one of [client, waker, reader]) one.disconnect()
    },
  }
}
