/**
 * The fetcher: an original from where it lives. Redirects are followed with every hop checked; retries share one
 * deadline; each host has a circuit breaker; requests are conditional where a copy is stored. What sends requests is
 * loaded with the first one: an app that starts has its images on disk already.
 */

import { lookup as systemLookup } from 'node:dns'
import { once } from '../concurrency.js'
import { ArtworkError } from '../model/failure.js'
import { createAgents } from './agents.js'
import { createCircuitBreakers } from './circuit-breaker.js'
import { createPlaces } from './connection-limits.js'
import type { Fetcher, FetcherOptions } from './ports.js'
import { createProxyPools } from './proxy-pool.js'
import type { RequestParts } from './requests.js'
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
  const closing = new AbortController()
  const requests = once(async () => {
    const { createRequests } = await import('./requests.js')
    const agentFor: RequestParts['agentFor'] = (url, isExcepted) =>
      (isExcepted ? exceptedAgents : agents).agentFor(url)
    const places = createPlaces(options)
    return createRequests(options, { pools, places, breakers, agentFor, closing: closing.signal })
  })

  return {
    fetch: async (request, validators, signal) => (await requests()).fetch(request, validators, signal),
    document: async (request, signal) => (await requests()).document(request, signal),
    probe: async (request) => (await requests()).probe(request),
    resting: breakers.open,
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
