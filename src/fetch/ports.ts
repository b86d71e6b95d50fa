/** The port of the fetcher, and what bounds it. */
import type { LookupFunction } from 'node:net'
import type { SharedHosts } from '../model/coordinator.js'
import type { FetchRequest, FileLocation, Validators } from '../model/location.js'
import type { Kind } from '../model/media-type.js'
import type { CreateProxyAgents } from './proxy-agents.js'
import type { ProxyOptions, ProxyStatus } from './proxy-pool.js'
import type { RedirectOptions } from './redirects.js'
import type { Fetched } from './upstream-response.js'

/** Everything that bounds a fetch. Bytes, counts, and ms. */
export interface FetcherOptions extends RedirectOptions {
  readonly connectTimeout: number
  /** All attempts together. */
  readonly totalTimeout: number
  readonly retries: number
  readonly maxSockets: number
  readonly perHost: number
  readonly lookup: LookupFunction | undefined
  readonly proxies?: ProxyOptions | undefined
  /** Where there are proxies. */
  readonly proxyAgents?: CreateProxyAgents | undefined
  readonly now: () => number
}

/** A file in hand. */
export interface ReadFile {
  readonly bytes: Buffer
  readonly kind: Kind
  /** Of the state that was read. */
  readonly validator: string
}

/** The port of the fetcher. */
export interface Fetcher {
  /** Fetches an image. @throws ArtworkError any row that has to do with an upstream */
  fetch(request: FetchRequest, validators?: Validators, signal?: AbortSignal): Promise<Fetched>
  /**
   * Reads an image of this machine.
   * @throws ArtworkError `unknown_image` (404), `refused` (403), `too_large` (413), `unsupported` (415), `bad_answer` (502),
   *   `unavailable` (503)
   */
  readFile(file: FileLocation): Promise<ReadFile>
  /** The validator of a file, without reading it. @throws ArtworkError `unknown_image` (404), `unavailable` (503) */
  fileValidator(file: FileLocation): Promise<string>
  /** The text of a small document; undefined where there is none. @throws ArtworkError as `fetch` does */
  document(request: FetchRequest, signal?: AbortSignal): Promise<string | undefined>
  /** Whether a URL answers with an image; nothing is stored. @throws ArtworkError `refused`, `invalid` */
  probe(request: FetchRequest): Promise<boolean>
  /** Hosts whose breaker is open. */
  resting(): readonly string[]
  /** The breakers, as nodes share them. */
  readonly hosts: SharedHosts
  /** Names of the proxy pools. */
  pools(): readonly string[]
  /** How the proxies fare; no credentials in it. */
  proxies(): readonly ProxyStatus[]
  close(): void
}
