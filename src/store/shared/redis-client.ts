/** Connections to Redis or Valkey, as all that nodes share in it make them. */
import type { Redis as Client } from 'ioredis'

/** A connection. */
export type { Client as RedisClient }

import { refuseUnknown } from '../../model/option-names.js'
import { refuseMissing } from '../../model/optional-package.js'

/** Where Redis is. */
export interface RedisConnectionOptions {
  /** `redis://` or `rediss://`, with user, password and number of the database where it has them. */
  readonly url: string
  /** What comes before every key: one for each site that shares the server. @default 'express-artwork:' */
  readonly prefix?: string
  /** How long a command may take, ms. @default 1 s */
  readonly timeout?: number
}

export const PREFIX = 'express-artwork:'
export const TIMEOUT = 1000
const LONGEST_PAUSE = 2000

/** @param name of the function that takes them, in messages @throws TypeError that names the option and its rule */
export function checkConnection(
  name: string,
  options: RedisConnectionOptions,
  names: readonly string[],
): void {
  const fail = (rule: string): never => {
    throw new TypeError(`${name}: ${rule}`)
  }
  if (typeof options !== 'object' || options === null) fail('options must be an object')
  refuseUnknown(name, options, names)
  const { url, prefix = '', timeout = TIMEOUT } = options
  // It may hold a password.
  if (typeof url !== 'string' || !/^rediss?:\/\/[^/]/.test(url))
    fail('url must be redis://host:port or rediss://host:port')
  if (typeof prefix !== 'string') fail('prefix must be a text')
  if (!Number.isSafeInteger(timeout) || timeout < 1) fail('timeout must be a whole number of ms, 1 or more')
}

/** @throws TypeError where it is shorter than leases can be renewed in */
export function checkLeaseTime(name: string, { leaseTime = 1000 }: { readonly leaseTime?: number }): void {
  if (!Number.isSafeInteger(leaseTime) || leaseTime < 1000)
    throw new TypeError(`${name}: leaseTime must be a whole number of ms, 1000 or more`)
}

/** What one connection has for itself: the names are those of ioredis. */
interface ClientOptions {
  readonly commandTimeout?: number
  /** Null: a command waits until there is a connection again. */
  readonly maxRetriesPerRequest?: number | null
  readonly enableOfflineQueue?: boolean
  readonly enableAutoPipelining?: boolean
  /** What was sent and not answered is sent once more after a lost connection. @default false */
  readonly autoResendUnfulfilledCommands?: boolean
  /** False: what duplicates the connection need not connect it. @default true */
  readonly lazyConnect?: boolean
}

/** Makes connections. A command on one that is lost fails at once. */
export type Connect = (more?: ClientOptions) => Client

/** @throws Error without the package */
export async function connectTo(
  { url, timeout = TIMEOUT }: RedisConnectionOptions,
  usedBy: string,
): Promise<Connect> {
  const { Redis } = await import('ioredis').catch((error) => refuseMissing(error, 'ioredis', usedBy))
  return (more = {}) => {
    const client = new Redis(url, {
      lazyConnect: true,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      // What waited on a connection that was lost is looked at anew.
      autoResendUnfulfilledCommands: false,
      connectTimeout: timeout,
      retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), LONGEST_PAUSE),
      ...more,
    })
    // Each is told of where its commands are awaited.
    client.on('error', () => {})
    if (more.lazyConnect !== false) void client.connect().catch(() => {})
    return client
  }
}
