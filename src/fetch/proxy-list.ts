/** Which proxies each pool has: from options, and from files that are read again when they change. */
import { readFileSync, statSync } from 'node:fs'
import { parseUrl } from '../model/web-url.js'

/** The lists of proxies, by the name of their pool. */
export interface ProxyListOptions {
  /** URLs: `http:`, `https:` and `socks5:`. */
  readonly pools: Readonly<Record<string, readonly string[]>>
  /** Files with a URL a line. */
  readonly files: Readonly<Record<string, string>>
}

/** How often files are checked for changes, ms. */
const CHECK_EVERY = 10_000

/** Reads a proxy: a URL, or `host:port` for http. @throws TypeError that does not repeat credentials */
function readProxy(text: string, where: string): string {
  const full = /^[a-z0-9]+:\/\//i.test(text) ? text : `http://${text}`
  const url = parseUrl(full)
  if (url === undefined || url.hostname === '' || !/^(?:https?|socks5h?):$/.test(url.protocol))
    throw new TypeError(
      `${where} must be http, https or socks5 URLs such as "http://proxy.example.com:8080", got ${JSON.stringify(withoutCredentials(text))}`,
    )
  return url.href
}

/** Text of a proxy without what stands before its `@`. */
const withoutCredentials = (text: string): string => text.replace(/^([a-z0-9]+:\/\/)?.*@/i, '$1…@')

const readList = (path: string, where: string): readonly string[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*$/, '').trim())
    .filter((line) => line !== '')
    .map((line) => readProxy(line, `${where} (${path})`))

/** Reads the lists. @throws TypeError for a proxy that cannot be read, Error for a file that cannot */
export function createProxyLists({ pools, files }: ProxyListOptions, now: () => number) {
  const inline = new Map(
    Object.entries(pools).map(([pool, urls]) => [
      pool,
      urls.map((text) => readProxy(text, `fetch.proxies.pools.${pool}`)),
    ]),
  )
  const members = new Map<string, readonly string[]>()
  const changedAt = new Map<string, number>()
  let checkedAt = now()
  const fill = (pool: string): void => {
    const path = files[pool]
    const listed = path === undefined ? [] : readList(path, `fetch.proxies.files.${pool}`)
    members.set(pool, [...new Set([...(inline.get(pool) ?? []), ...listed])])
  }
  for (const pool of new Set([...inline.keys(), ...Object.keys(files)])) {
    const path = files[pool]
    try {
      fill(pool)
      if (path !== undefined) changedAt.set(pool, statSync(path).mtimeMs)
    } catch (error) {
      if (error instanceof TypeError) throw error
      const rule = `fetch.proxies.files.${pool} must be a file that can be read`
      throw new Error(`${rule}, got ${JSON.stringify(path)}`, { cause: error })
    }
  }
  return {
    /** URLs by pool. */
    members: members as ReadonlyMap<string, readonly string[]>,
    /** Every proxy. */
    all: (): ReadonlySet<string> => new Set([...inline.values(), ...members.values()].flat()),
    /** Reads files again that changed; one that cannot be read now leaves its pool as it is. Answers whether it was time to check. */
    refresh: (): boolean => {
      if (Math.abs(now() - checkedAt) < CHECK_EVERY) return false
      checkedAt = now()
      for (const [pool, before] of changedAt)
        try {
          const changed = statSync(files[pool] ?? '').mtimeMs
          if (changed === before) continue
          changedAt.set(pool, changed)
          fill(pool)
        } catch {
          // As it is.
        }
      return true
    },
  }
}
