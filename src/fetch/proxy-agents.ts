/** Agents that go through a proxy: http and https (CONNECT, or absolute form for plain http), and socks. */
import type { Agent, ClientRequest } from 'node:http'
import { isIP, type LookupFunction, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { HttpProxyAgent } from 'http-proxy-agent'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { SocksProxyAgent } from 'socks-proxy-agent'

/** What went wrong on this side of the source: at the proxy, or on the way to it. */
export class ProxyError extends Error {
  /** node-fetch keeps nothing of a failure but its code. */
  readonly code: 'EPROXY' | 'EPROXYREPLY'
  /** @param isReply whether the proxy answered, and may only have told of the source's trouble */
  constructor(cause: unknown, isReply: boolean) {
    super('the proxy failed', { cause })
    this.code = isReply ? 'EPROXYREPLY' : 'EPROXY'
  }
}

/** How connections through a proxy are made. */
export interface ProxyAgentOptions {
  /** Ms until a connection through the proxy must stand. */
  readonly connectTimeout: number
  /** Names are resolved and judged here, and the proxy is given the address. Undefined: the proxy resolves them. */
  readonly lookup: LookupFunction | undefined
}

type Connect = (req: never, options: never) => Promise<unknown>
interface Target {
  host?: string
}

const SETTINGS = { keepAlive: true, timeout: 15_000, scheduling: 'lifo' } as const

/** The agents of one proxy, by the scheme of a URL. */
export function createProxyAgents(proxy: URL, options: ProxyAgentOptions) {
  const isSocks = proxy.protocol.startsWith('socks')
  const tunnel = isSocks
    ? // The proxy resolves names, unless they are resolved here: never a look-up that nobody judged.
      bounded(new SocksProxyAgent(withProtocol(proxy, 'socks5h:'), SETTINGS), options)
    : bounded(new HttpsProxyAgent(proxy, SETTINGS), options)
  const plain =
    isSocks || options.lookup !== undefined ? tunnel : bounded(new HttpProxyAgent(proxy, SETTINGS), options)
  return {
    agentFor: (url: URL): Agent => (url.protocol === 'https:' ? tunnel : plain),
    close: (): void => {
      tunnel.destroy()
      plain.destroy()
    },
  }
}

function withProtocol(url: URL, protocol: string): string {
  return protocol + url.href.slice(url.protocol.length)
}

/** An agent whose connections stand in time, and which tells a proxy's failure from a source's. */
function bounded<A extends Agent & { connect: Connect }>(agent: A, options: ProxyAgentOptions): A {
  const connect = agent.connect.bind(agent) as (
    req: ClientRequest,
    target: Target,
  ) => Promise<Duplex | Socket>
  const connectOnce = async (req: ClientRequest, target: Target): Promise<Duplex | Socket> => {
    let refusal: number | undefined
    req.once('proxyConnect', (answer: { statusCode?: number }) => {
      if (answer.statusCode !== undefined && answer.statusCode !== 200) refusal = answer.statusCode
    })
    const socket = await connect(req, await resolved(target, options.lookup))
    if (refusal === undefined) return socket
    socket.destroy()
    throw new ProxyError(new Error(`CONNECT was answered with ${refusal}`), refusal !== 407)
  }
  const inTime: Connect = async (req: ClientRequest, target: Target) => {
    let timer: NodeJS.Timeout | undefined
    const attempt = connectOnce(req, target)
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error('the proxy did not connect in time')), options.connectTimeout)
    })
    try {
      return await Promise.race([attempt, late])
    } catch (error) {
      attempt.then((socket) => socket.destroy()).catch(() => {})
      if (error instanceof ProxyError || isRefusal(error)) throw error
      throw new ProxyError(error, error instanceof Error && /rejected connection/i.test(error.message))
    } finally {
      clearTimeout(timer)
    }
  }
  return Object.assign(agent, { connect: inTime })
}

const isRefusal = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && ['EREFUSEDADDRESS', 'ENOTFOUND'].includes(String(error.code))

/** The target with an address in place of its name. The name stays what TLS asks for. */
async function resolved(target: Target, lookup: LookupFunction | undefined): Promise<Target> {
  const { host } = target
  if (lookup === undefined || host === undefined || isIP(host) !== 0) return target
  const address = await new Promise<string>((resolve, reject) => {
    lookup(host, {}, (error, found) => {
      const first = Array.isArray(found) ? found[0]?.address : found
      if (error) reject(error)
      else if (first === undefined) reject(new Error('the name has no address'))
      else resolve(first)
    })
  })
  return { servername: host, ...target, host: address } as Target
}
