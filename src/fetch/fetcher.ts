/**
 * The fetcher: an original from where it lives, a URL or a file. Redirects are followed with every hop checked; retries share one
 * deadline; each host has a circuit breaker; requests are conditional where a copy is stored.
 */

import { lookup as systemLookup } from 'node:dns'
import { ArtworkError } from '../model/failure.js'
import { createAgents } from './agents.js'
import { createCircuitBreakers } from './circuit-breaker.js'
import { createConnectionLimits } from './connection-limits.js'
import { createLocalFiles } from './local-file.js'
import type { Fetcher, FetcherOptions } from './ports.js'
import { createProxyPools } from './proxy-pool.js'
import { createRequests } from './requests.js'
import { guardedLookup } from './ssrf-guard.js'

export type { Fetched } from './upstream-response.js'
export type { Fetcher, FetcherOptions }

/** Makes a fetcher; no socket is opened before the first fetch. */
export function createFetcher(options: FetcherOptions): Fetcher {
  const { connectTimeout, perHost, now } = options
  const plain = options.lookup ?? systemLookup
  const guarded = guardedLookup(plain)
  const agents = createAgents({ perHost, connectTimeout, lookup: guarded })
  const exceptedAgents = createAgents({ perHost, connectTimeout, lookup: plain })
  const pools = createProxyPools(options.proxies, {
    connectTimeout,
    guarded,
    plain,
    now,
    createAgents: options.proxyAgents,
  })
  const breakers = createCircuitBreakers({ now })
  const limits = createConnectionLimits(options)
  const closing = new AbortController()
  const requests = createRequests(options, {
    pools,
    limits,
    breakers,
    agentFor: (url, isExcepted) => (isExcepted ? exceptedAgents : agents).agentFor(url),
    closing: closing.signal,
  })

  return {
    ...requests,
    ...createLocalFiles(options),
    resting: breakers.open,
    hosts: { watch: breakers.watch, heard: breakers.heard, divideBy: limits.divideBy },
    pools: pools.names,
    proxies: pools.status,
    close: () => {
      closing.abort(new ArtworkError('unavailable', 'shutting down'))
      agents.close()
      exceptedAgents.close()
      pools.close()
    },
  }
}
