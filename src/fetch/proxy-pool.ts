/**
 * Pools of proxies: who is asked next, who rests after failing, and what became of each. One state for all users of
 * a fetcher. Credentials are in no name, no message and no number.
 */
import { readFileSync, statSync } from 'node:fs'
import type { Agent } from 'node:http'
import type { LookupFunction } from 'node:net'
import { ArtworkError, asArtworkError } from '../model/failure.js'
import { createProxyAgents } from './proxy-agents.js'

/** How proxies are used. Times in ms. */
export interface ProxyOptions {
  /** URLs by the name of their pool: `http:`, `https:` and `socks5:`. */
  readonly pools: Readonly<Record<string, readonly string[]>>
  /** Files with a URL a line, by the name of their pool; looked at again when they change. */
  readonly files: Readonly<Record<string, string>>
  readonly strategy: 'round-robin' | 'random'
  /** Failures in a row after which a proxy rests, and for how long. */
  readonly restAfter: number
  readonly restFor: number
  /** Whether sources are asked directly while every proxy rests. */
  readonly direct: boolean
  /** Who resolves the names of sources. */
  readonly resolve: 'proxy' | 'here'
}

/** The name that stands for every pool together. */
export const ANY_POOL = '*'

/** How a proxy fares. No credentials in it. */
export interface ProxyStatus {
  /** `http://proxy.example.com:8080` */
  readonly proxy: string
  readonly pools: readonly string[]
  readonly succeeded: number
  readonly failed: number
  /** Until when it rests, ms since the epoch; undefined where it does not. */
  readonly restingUntil: number | undefined
}

interface Proxy {
  readonly key: string
  readonly displayUrl: string
  readonly agents: ReturnType<typeof createProxyAgents>
  /** The same for exceptions from the guard. */
  readonly excepted: ReturnType<typeof createProxyAgents>
  consecutiveFailures: number
  succeeded: number
  failed: number
  restingUntil: number
}

/** What the pools are made with. */
export interface PoolContext {
  readonly connectTimeout: number
  readonly guarded: LookupFunction
  readonly plain: LookupFunction
  readonly now: () => number
}

/** Failures that were a proxy's, so that no host is blamed for them. */
const proxyTroubles = new WeakSet<ArtworkError>()
/** Whether an error has to do with a proxy, and not with the source behind it. */
export const isProxyTrouble = (error: unknown): boolean =>
  error instanceof ArtworkError && proxyTroubles.has(error)

const LOOK_AGAIN_AFTER = 10_000
/** Answers that a proxy may give in the name of a source. */
const AMBIGUOUS = new Set([502, 503, 504])

/** Reads a proxy: a URL, or `host:port` for http. @throws TypeError that does not repeat credentials */
export function readProxy(text: string, where: string): URL {
  const full = /^[a-z0-9]+:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(full) ? new URL(full) : undefined
  if (url === undefined || url.hostname === '' || !/^(?:https?|socks5h?):$/.test(url.protocol))
    throw new TypeError(
      `${where} must be http, https or socks5 URLs such as "http://proxy.example.com:8080", got ${JSON.stringify(withoutCredentials(text))}`,
    )
  return url
}

/** Text of a proxy without what stands before its `@`. */
const withoutCredentials = (text: string): string => text.replace(/^([a-z0-9]+:\/\/)?.*@/i, '$1…@')

/** Which proxy an exchange goes through. */
export interface ProxyRoute {
  agentFor(url: URL, isExcepted: boolean): Agent
  /** Whether what answers is the source itself, and not the proxy in its name. */
  isTunnelled(url: URL): boolean
  readonly proxy: Proxy
}

/** Makes the pools. @throws TypeError for a proxy that cannot be read, Error for a file that cannot */
export function createProxyPools(options: ProxyOptions | undefined, context: PoolContext) {
  const { now } = context
  const proxies = new Map<string, Proxy>()
  const members = new Map<string, readonly string[]>()
  const files = new Map<string, { readonly path: string; readonly pool: string; changedAt: number }>()
  const turns = new Map<string, number>()
  let lookedAt = now()

  const join = (url: URL): string => {
    const key = url.href
    if (proxies.has(key)) return key
    const agents = (lookup: LookupFunction) =>
      createProxyAgents(url, {
        connectTimeout: context.connectTimeout,
        lookup: options?.resolve === 'here' ? lookup : undefined,
      })
    proxies.set(key, {
      key,
      displayUrl: `${url.protocol}//${url.host}`,
      agents: agents(context.guarded),
      excepted: agents(context.plain),
      consecutiveFailures: 0,
      succeeded: 0,
      failed: 0,
      restingUntil: 0,
    })
    return key
  }
  const load = (pool: string, path: string): readonly string[] =>
    readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.replace(/#.*$/, '').trim())
      .filter((line) => line !== '')
      .map((line) => join(readProxy(line, `fetch.proxies.files.${pool} (${path})`)))
  const inline = new Map(
    Object.entries(options?.pools ?? {}).map(
      ([pool, urls]) =>
        [pool, urls.map((text) => join(readProxy(text, `fetch.proxies.pools.${pool}`)))] as const,
    ),
  )
  const fill = (pool: string): void => {
    const path = options?.files[pool]
    members.set(pool, [
      ...new Set([...(inline.get(pool) ?? []), ...(path === undefined ? [] : load(pool, path))]),
    ])
  }
  for (const pool of new Set([...inline.keys(), ...Object.keys(options?.files ?? {})])) {
    const path = options?.files[pool]
    try {
      fill(pool)
      if (path !== undefined) files.set(pool, { path, pool, changedAt: statSync(path).mtimeMs })
    } catch (error) {
      if (error instanceof TypeError) throw error
      throw new Error(
        `fetch.proxies.files.${pool} must be a file that can be read, got ${JSON.stringify(path)}`,
        {
          cause: error,
        },
      )
    }
  }
  /** Proxies that are in no pool any more are let go. */
  const prune = (): void => {
    const listed = new Set([...members.values()].flat())
    for (const [key, proxy] of proxies)
      if (!listed.has(key)) {
        proxies.delete(key)
        proxy.agents.close()
        proxy.excepted.close()
      }
  }
  /** Files that changed are read again; one that cannot be read now leaves the pool as it is. */
  const lookAgain = (): void => {
    if (Math.abs(now() - lookedAt) < LOOK_AGAIN_AFTER) return
    lookedAt = now()
    for (const file of files.values())
      try {
        const changedAt = statSync(file.path).mtimeMs
        if (changedAt === file.changedAt) continue
        file.changedAt = changedAt
        fill(file.pool)
      } catch {
        // As it is.
      }
    prune()
  }
  const namesOf = (pool: string): readonly string[] =>
    pool === ANY_POOL ? [...new Set([...members.values()].flat())] : (members.get(pool) ?? [])

  const recordFailure = (proxy: Proxy): void => {
    proxy.consecutiveFailures += 1
    if (options !== undefined && proxy.consecutiveFailures >= options.restAfter) {
      proxy.restingUntil = now() + options.restFor
      proxy.consecutiveFailures = 0
    }
  }

  return {
    /** Names of the pools. */
    names: (): readonly string[] => [...members.keys()],
    /**
     * Who is next in a pool. Undefined: the source is asked directly.
     * @param tried proxies that this fetch has been through, taken again only where there is no other
     * @throws ArtworkError `unavailable` (503) while every proxy of the pool rests
     */
    next: (pool: string | undefined, tried: ReadonlySet<Proxy>): ProxyRoute | undefined => {
      if (pool === undefined || (pool === ANY_POOL && members.size === 0)) return undefined
      lookAgain()
      const all = namesOf(pool)
        .map((key) => proxies.get(key))
        .filter((proxy) => proxy !== undefined)
      if (all.length === 0 || options === undefined) {
        throw new ArtworkError('unavailable', 'this proxy pool is empty', { retryAfter: 60 })
      }
      const awake = all.filter((proxy) => now() >= proxy.restingUntil)
      if (awake.length === 0) {
        if (options.direct) return undefined
        const soonest = Math.min(...all.map((proxy) => proxy.restingUntil))
        const retryAfter = Math.max(1, Math.ceil((soonest - now()) / 1000))
        throw new ArtworkError('unavailable', 'every proxy is resting', { retryAfter })
      }
      const fresh = awake.filter((proxy) => !tried.has(proxy))
      const choice = fresh.length > 0 ? fresh : awake
      const turn = turns.get(pool) ?? 0
      turns.set(pool, (turn + 1) % Number.MAX_SAFE_INTEGER)
      // In turn by its place among all, so that one who rests or was tried does not shift the others.
      const inTurn = all.slice(turn % all.length).concat(all.slice(0, turn % all.length))
      const proxy =
        options.strategy === 'random'
          ? choice[Math.floor(Math.random() * choice.length)]
          : inTurn.find((one) => choice.includes(one))
      if (proxy === undefined) return undefined
      return {
        proxy,
        agentFor: (url, isExcepted) => (isExcepted ? proxy.excepted : proxy.agents).agentFor(url),
        isTunnelled: (url) => proxy.agents.isTunnelled(url),
      }
    },
    /** Watches one fetch: who failed, and whether it may have been the source's doing. */
    watch: () => {
      const tried = new Set<Proxy>()
      /** Proxies that answered with what may be the source's own trouble. */
      const suspects = new Map<Proxy, 'told' | 'failed'>()
      const succeeded = ({ proxy }: ProxyRoute): void => {
        proxy.succeeded += 1
        proxy.consecutiveFailures = 0
        proxy.restingUntil = 0
        suspects.delete(proxy)
      }
      return {
        tried,
        failed: ({ proxy }: ProxyRoute, error: unknown): void => {
          const failure = asArtworkError(error)
          const atProxy = proxyCode(failure)
          tried.add(proxy)
          if (atProxy !== undefined) proxyTroubles.add(failure)
          if (failure.code === 'cancelled' || failure.code === 'refused') return
          if (atProxy === undefined && failure.code !== 'connection' && failure.code !== 'timeout') return
          proxy.failed += 1
          if (atProxy === 'EPROXY') {
            recordFailure(proxy)
            return
          }
          suspects.set(proxy, 'failed')
        },
        /**
         * What a proxy's answer says of it.
         * @throws ArtworkError `connection` where it is the proxy's own
         */
        answered: (turn: ProxyRoute, status: number, isTunnelled: boolean): void => {
          const { proxy } = turn
          if (isTunnelled || (status !== 407 && !AMBIGUOUS.has(status))) {
            succeeded(turn)
            return
          }
          tried.add(proxy)
          proxy.failed += 1
          if (status !== 407) {
            if (!suspects.has(proxy)) suspects.set(proxy, 'told')
            return
          }
          recordFailure(proxy)
          const failure = new ArtworkError('connection', 'the proxy failed')
          proxyTroubles.add(failure)
          throw failure
        },
        /**
         * At the end of a fetch. Where two proxies or more have told the same, it was the source; and where the only
         * one told of a failure, nobody knows.
         */
        end: (isWell: boolean): void => {
          for (const [proxy, how] of suspects)
            if (isWell || (suspects.size === 1 && how === 'failed')) recordFailure(proxy)
        },
      }
    },
    status: (): readonly ProxyStatus[] => {
      // Two that differ in their credentials only are one to whoever looks.
      const found = new Map<string, ProxyStatus>()
      for (const proxy of proxies.values()) {
        const before = found.get(proxy.displayUrl)
        const pools = [...members].filter(([, keys]) => keys.includes(proxy.key)).map(([pool]) => pool)
        const until = now() < proxy.restingUntil ? proxy.restingUntil : undefined
        found.set(proxy.displayUrl, {
          proxy: proxy.displayUrl,
          pools: [...new Set([...(before?.pools ?? []), ...pools])],
          succeeded: (before?.succeeded ?? 0) + proxy.succeeded,
          failed: (before?.failed ?? 0) + proxy.failed,
          restingUntil: before === undefined ? until : until && before.restingUntil,
        })
      }
      return [...found.values()]
    },
    close: (): void => {
      for (const { agents, excepted } of proxies.values()) {
        agents.close()
        excepted.close()
      }
    },
  }
}

/** The code of a proxy's failure in a chain of causes. */
function proxyCode(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1)
    if ('code' in at && /^EPROXY(?:REPLY)?$/.test(String(at.code))) return String(at.code)
  return undefined
}
