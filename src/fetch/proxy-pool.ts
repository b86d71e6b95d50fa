/** Pools of proxies: which one is next, and how each fares. Credentials are in no name, no message and no number. */
import type { Agent } from 'node:http'
import type { LookupFunction } from 'node:net'
import { ArtworkError } from '../model/failure.js'
import type { CreateProxyAgents } from './proxy-agents.js'
import { type HealthOptions, type ProxyHealth, watchProxies } from './proxy-health.js'
import { createProxyLists, type ProxyListOptions } from './proxy-list.js'

/** How proxies are used. Times in ms. */
export interface ProxyOptions extends ProxyListOptions, HealthOptions {
  readonly strategy: 'round-robin' | 'random'
  /** Whether sources are asked directly while every proxy rests. */
  readonly direct: boolean
  /** Where the names of sources are resolved. */
  readonly resolve: 'proxy' | 'here'
}

/** The name that stands for every pool together. */
export const ANY_POOL = '*'

/** How a proxy fares. No credentials in it. */
export interface ProxyStatus {
  /** `http://proxy.example.com:8080` */
  readonly proxy: string
  /** Names of the pools that it is in. */
  readonly pools: readonly string[]
  /** Exchanges through it that came to an answer, since start. */
  readonly succeeded: number
  /** Exchanges through it that failed because of it, since start. */
  readonly failed: number
  /** Until when it rests, ms since the epoch; undefined where it does not. */
  readonly restingUntil: number | undefined
}

interface Proxy {
  readonly key: string
  readonly displayUrl: string
  readonly agents: ReturnType<CreateProxyAgents>
  /** The same for exceptions from the guard. */
  readonly excepted: ReturnType<CreateProxyAgents>
  readonly health: ProxyHealth
}

/** What the pools are made with. */
export interface PoolParts {
  readonly connectTimeout: number
  readonly guarded: LookupFunction
  readonly plain: LookupFunction
  readonly now: () => number
  /** Undefined where there are no proxies. */
  readonly createAgents: CreateProxyAgents | undefined
}

/** The proxy that an exchange goes through. */
export interface ProxyRoute {
  agentFor(url: URL, isExcepted: boolean): Agent
  /** Whether what answers is the source itself, and not the proxy in its name. */
  isTunnelled(url: URL): boolean
  readonly health: ProxyHealth
}

/** Makes the pools. @throws TypeError for a proxy that cannot be read, Error for a file that cannot */
export function createProxyPools(options: ProxyOptions | undefined, parts: PoolParts) {
  const { now } = parts
  const lists = createProxyLists(options ?? { pools: {}, files: {} }, now)
  const { members } = lists
  const proxies = new Map<string, Proxy>()
  const turns = new Map<string, number>()
  /** Makes proxies that are listed now, and closes those that are not any more. */
  const sync = (): void => {
    const listed = lists.all()
    for (const proxy of proxies.values())
      if (!listed.has(proxy.key) && proxies.delete(proxy.key)) close(proxy)
    for (const key of listed) {
      const made = proxies.has(key) ? undefined : createProxy(key, options?.resolve === 'here', parts)
      if (made !== undefined) proxies.set(key, made)
    }
  }
  sync()

  return {
    /** Names of the pools. */
    names: (): readonly string[] => [...members.keys()],
    /**
     * The next proxy of a pool. Undefined: the source is asked directly.
     * @param tried proxies that failed in this fetch, taken again only where there is no other
     * @throws ArtworkError `unavailable` (503) while every proxy of the pool rests
     */
    next: (pool: string | undefined, tried: ReadonlySet<ProxyHealth>): ProxyRoute | undefined => {
      if (pool === undefined || (pool === ANY_POOL && members.size === 0)) return undefined
      if (lists.refresh()) sync()
      const keys = pool === ANY_POOL ? new Set([...members.values()].flat()) : (members.get(pool) ?? [])
      const all = [...keys].flatMap((key) => proxies.get(key) ?? [])
      if (all.length === 0 || options === undefined)
        throw new ArtworkError('unavailable', 'this proxy pool is empty', { retryAfter: 60 })
      const available = all.filter(({ health }) => now() >= health.restingUntil)
      if (available.length === 0) {
        if (options.direct) return undefined
        throw allResting(all, now())
      }
      const untried = available.filter(({ health }) => !tried.has(health))
      const turn = turns.get(pool) ?? 0
      turns.set(pool, (turn + 1) % Number.MAX_SAFE_INTEGER)
      return routeOf(choose(all, untried.length > 0 ? untried : available, options.strategy, turn))
    },
    /** Watches the proxies of one fetch. */
    watch: () => watchProxies(options, now),
    status: (): readonly ProxyStatus[] => statusOf([...proxies.values()], members, now()),
    close: (): void => {
      for (const proxy of proxies.values()) close(proxy)
    },
  }
}

/** @throws Error for a socks proxy whose package is not installed */
function createProxy(key: string, isResolvedHere: boolean, parts: PoolParts): Proxy | undefined {
  const { createAgents } = parts
  if (createAgents === undefined) return undefined
  const url = new URL(key)
  const agents = (lookup: LookupFunction) =>
    createAgents(url, {
      connectTimeout: parts.connectTimeout,
      lookup: isResolvedHere ? lookup : undefined,
    })
  return {
    key,
    displayUrl: `${url.protocol}//${url.host}`,
    agents: agents(parts.guarded),
    excepted: agents(parts.plain),
    health: { consecutiveFailures: 0, succeeded: 0, failed: 0, restingUntil: 0 },
  }
}

const close = ({ agents, excepted }: Proxy): void => {
  agents.close()
  excepted.close()
}

function allResting(all: readonly Proxy[], now: number): ArtworkError {
  const soonest = Math.min(...all.map(({ health }) => health.restingUntil))
  const retryAfter = Math.max(1, Math.ceil((soonest - now) / 1000))
  return new ArtworkError('unavailable', 'every proxy is resting', { retryAfter })
}

/** One of the choices: in turn by its place among all, so that those left out do not shift the others. */
function choose(
  all: readonly Proxy[],
  choices: readonly Proxy[],
  strategy: ProxyOptions['strategy'],
  turn: number,
): Proxy | undefined {
  if (strategy === 'random') return choices[Math.floor(Math.random() * choices.length)]
  const first = turn % all.length
  return [...all.slice(first), ...all.slice(0, first)].find((proxy) => choices.includes(proxy))
}

const routeOf = (proxy: Proxy | undefined): ProxyRoute | undefined =>
  proxy && {
    health: proxy.health,
    agentFor: (url, isExcepted) => (isExcepted ? proxy.excepted : proxy.agents).agentFor(url),
    isTunnelled: (url) => proxy.agents.isTunnelled(url),
  }

/** Proxies that differ in their credentials only are shown as one. */
function statusOf(
  proxies: readonly Proxy[],
  members: ReadonlyMap<string, readonly string[]>,
  now: number,
): readonly ProxyStatus[] {
  const found = new Map<string, ProxyStatus>()
  for (const { key, displayUrl, health } of proxies) {
    const before = found.get(displayUrl)
    const pools = [...members].filter(([, keys]) => keys.includes(key)).map(([pool]) => pool)
    const until = now < health.restingUntil ? health.restingUntil : undefined
    found.set(displayUrl, {
      proxy: displayUrl,
      pools: [...new Set([...(before?.pools ?? []), ...pools])],
      succeeded: (before?.succeeded ?? 0) + health.succeeded,
      failed: (before?.failed ?? 0) + health.failed,
      restingUntil: before === undefined ? until : until && before.restingUntil,
    })
  }
  return [...found.values()]
}
