/** The hosts of the sources: whether they may be asked by the options, and whether they answer. */
import { lookup as systemLookup } from 'node:dns'
import { connect, isIP, type LookupFunction, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { createLimiter } from '../../concurrency.js'
import { checkUrl, guardedLookup, isExcepted } from '../../fetch/ssrf-guard.js'
import { codeOf } from '../../model/failure.js'
import { parseUrl } from '../../model/web-url.js'
import type { Settings } from '../../options/settings.js'
import { type Finding, findings, reasonOf } from './finding.js'
import type { Subject } from './subject.js'

/** Ms in which a host must have answered. */
const ANSWERS_WITHIN = 4000
const AT_ONCE = 8
/** More hosts are not asked. */
const MOST_HOSTS = 40

/** What is asked: one server, by the schemes that it may have, or one that the options keep from being asked. */
interface Target {
  readonly source: string
  readonly host: string
  /** The first that answers counts. */
  readonly urls: readonly URL[]
}

/** The servers that a source lists one by one: no pattern, nothing that goes through a proxy. */
function targetsOf({ sources, fetch }: Settings): readonly Target[] {
  const found = new Map<string, Target>()
  for (const { name, origins = [], pool } of sources)
    for (const origin of origins) {
      if (origin.includes('*') || origin === 'https:' || (pool !== undefined && fetch.proxies !== undefined))
        continue
      const hasScheme = /^https?:\/\//.test(origin)
      const texts = hasScheme ? [origin] : [`https://${origin}`, `http://${origin}`]
      // A host without a port may be one that the app has on another one.
      const excepted = fetch.allowPrivate.filter((one) => one.replace(/:\d+$/, '') === origin)
      const urls = (excepted.length > 0 ? excepted.map((one) => `http://${one}`) : texts)
        .map((text) => parseUrl(text))
        .filter((url) => url !== undefined)
      if (urls.length > 0) found.set(origin, { source: name, host: origin, urls })
    }
  return [...found.values()]
}

/** Connects, with TLS where the URL has it. @throws what keeps it from it */
function dial(url: URL, lookup: LookupFunction): Promise<void> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const isTls = url.protocol === 'https:'
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port)
  return new Promise((resolve, reject) => {
    let socket: Socket | undefined
    const end = (error?: Error): void => {
      clearTimeout(timer)
      socket?.destroy()
      if (error === undefined) resolve()
      else reject(error)
    }
    const timer = setTimeout(
      () => end(Object.assign(new Error('it did not answer in time'), { code: 'ETIMEDOUT' })),
      ANSWERS_WITHIN,
    )
    const server = isIP(host) === 0 ? { servername: host } : {}
    socket = isTls ? connectTls({ host, port, lookup, ...server }) : connect({ host, port, lookup })
    socket.on('error', end)
    socket.once(isTls ? 'secureConnect' : 'connect', () => end())
  })
}

/** Tries a server by each of its URLs. @throws the first failure */
async function reach({ urls }: Target, settings: Settings): Promise<void> {
  const resolveName = settings.fetch.lookup ?? systemLookup
  const failures: unknown[] = []
  for (const url of urls)
    try {
      checkUrl(url.href, settings.fetch, () => true)
      await dial(url, isExcepted(url, settings.fetch) ? resolveName : guardedLookup(resolveName))
      return
    } catch (error) {
      failures.push(error)
    }
  throw failures[0]
}

function problemOf({ source, host, urls }: Target, thrown: unknown): Finding {
  const { warning, error } = findings('hosts')
  const code = codeOf(thrown)
  const [first] = urls
  const pair = `${first?.hostname}:${first?.port || (first?.protocol === 'http:' ? 80 : 443)}`
  if (code === 'EREFUSEDADDRESS' || code === 'undialable' || code === 'refused')
    return error(
      `${host} of ${source} is never asked: ${code === 'EREFUSEDADDRESS' ? 'it has an address that is not public' : reasonOf(thrown)}`,
      code === 'refused'
        ? `take it out of ${source} or of fetch.publicOrigins`
        : `add ${JSON.stringify(pair)} to fetch.allowPrivate (or the port to fetch.ports), if that is meant`,
    )
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return warning(
      `the name ${host} of ${source} is not found (${code})`,
      `correct it in ${source}, or the DNS of this machine (fetch.lookup)`,
    )
  if (/CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO/.test(code))
    return warning(
      `${host} of ${source} has a certificate that is not trusted (${code})`,
      'correct it there, or give Node its authority (NODE_EXTRA_CA_CERTS)',
    )
  return warning(
    `${host} of ${source} does not answer (${code || reasonOf(thrown)})`,
    'let this machine through the firewall to it, or name a proxy in fetch.proxies',
  )
}

/** Asks every host that is listed. */
export async function hostFindings({ settings }: Subject): Promise<readonly Finding[]> {
  const { ok, info } = findings('hosts')
  const targets = targetsOf(settings)
  const limiter = createLimiter({ capacity: AT_ONCE, maxWaiting: MOST_HOSTS, overloaded: 'too many hosts' })
  const asked = targets.slice(0, MOST_HOSTS)
  const outcomes = await Promise.allSettled(asked.map((target) => limiter.run(() => reach(target, settings))))
  const found = asked.flatMap((target, index) => {
    const outcome = outcomes[index]
    return outcome?.status === 'rejected' ? [problemOf(target, outcome.reason)] : []
  })
  const more = targets.length - asked.length
  if (more > 0) found.push(info(`${more} more hosts were not asked`))
  return found.length > 0
    ? found
    : [ok(targets.length === 0 ? 'none is listed by its name' : `${targets.length} answer`)]
}
