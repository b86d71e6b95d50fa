/** Keep-alive agents with bounded sockets and a bound on connecting; one pair guarded, one for exceptions. */
import type { LookupAddress } from 'node:dns'
import { type AgentOptions, Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { isIP, type LookupFunction, type Socket } from 'node:net'

/** How sockets are made. */
export interface AgentsOptions {
  /** Sockets of one host; the bound on all hosts together is the limiter's. */
  readonly perHost: number
  /** Ms until a connection (with TLS) must stand. */
  readonly connectTimeout: number
  readonly lookup: LookupFunction
}

const IDLE_FOR = 15_000

/** A pair of agents, chosen by the scheme of a URL. */
export function createAgents(options: AgentsOptions) {
  const shared: AgentOptions & { lookup: LookupFunction } = {
    keepAlive: true,
    keepAliveMsecs: 10_000,
    maxSockets: options.perHost,
    maxFreeSockets: options.perHost,
    scheduling: 'lifo',
    // Idle sockets close by themselves. No maxTotalSockets: it counts idle ones, and the next host would wait for them.
    timeout: IDLE_FOR,
    lookup: options.lookup,
  }
  const http = bounded(new HttpAgent(shared), options.connectTimeout, 'connect')
  const https = bounded(new HttpsAgent(shared), options.connectTimeout, 'secureConnect')
  return {
    agentFor: (url: URL): HttpAgent => (url.protocol === 'https:' ? https : http),
    close: (): void => {
      http.destroy()
      https.destroy()
    },
  }
}

/** After this time without a connection the next address is tried beside those before it (RFC 8305 §5), ms. */
const ATTEMPT_DELAY = 250

/**
 * An agent that connects within a time, to the address of a host that answers first. Node itself abandons an attempt when
 * the next begins, so that a host whose only good address is slow could not be reached at all.
 */
function bounded<A extends HttpAgent>(agent: A, timeout: number, ready: 'connect' | 'secureConnect'): A {
  type Options = Parameters<A['createConnection']>[0] & { host?: string; lookup?: LookupFunction | undefined }
  const connect = agent.createConnection.bind(agent)
  const open = (options: Options): Socket => connect(options, undefined) as Socket

  agent.createConnection = (given, callback) => {
    const options = given as Options
    const attempts = new Set<Socket>()
    let isDone = false
    let stopRace = (): void => {}
    const settle = (error: Error | null, socket?: Socket): void => {
      if (isDone) {
        socket?.destroy()
        return
      }
      isDone = true
      stopRace()
      for (const other of attempts) if (other !== socket) other.destroy()
      if (error !== null) clearTimeout(timer)
      callback?.(error, socket as Socket)
    }
    const late = (): void => {
      const error = Object.assign(new Error('connect timeout'), { code: 'ECONNECTTIMEOUT' })
      stopRace()
      for (const socket of attempts) socket.destroy(error)
      settle(error)
    }
    const timer = setTimeout(late, timeout)
    const watch = (socket: Socket): Socket => {
      attempts.add(socket)
      const stop = (): void => clearTimeout(timer)
      socket.once(ready, stop)
      socket.once('close', () => {
        attempts.delete(socket)
        if (isDone && attempts.size === 0) stop()
      })
      return socket
    }
    const { host = '', lookup } = options
    if (lookup === undefined || isIP(host) !== 0) {
      isDone = true
      return watch(open(options))
    }
    lookup(host, { all: true }, (error, found, family) => {
      if (error || isDone) return settle(error ?? null)
      const addresses = inTurns(Array.isArray(found) ? found : [{ address: found, family: family ?? 0 }])
      stopRace = race(
        addresses,
        (address) => watch(open({ ...options, host: address, lookup: undefined })),
        settle,
      )
    })
    return undefined
  }
  return agent
}

/** Addresses of both families by turns, beginning with the first one's (RFC 8305 §4). */
function inTurns(addresses: readonly LookupAddress[]): readonly string[] {
  const all = addresses.map(({ address }) => address)
  const [first = ''] = all
  const same = all.filter((one) => isIP(one) === isIP(first))
  const other = all.filter((one) => isIP(one) !== isIP(first))
  return all
    .flatMap((_, index) => [same[index], other[index]])
    .filter((one): one is string => one !== undefined)
}

/**
 * Tries addresses one after the other, each beside those that have not failed yet, until one connects or none is left.
 * @returns stops it without a result
 */
function race(
  addresses: readonly string[],
  open: (address: string) => Socket,
  settle: (error: Error | null, socket?: Socket) => void,
): () => void {
  const left = [...addresses]
  let running = 0
  let isOver = false
  let next: NodeJS.Timeout | undefined
  const stop = (): void => {
    isOver = true
    clearTimeout(next)
  }
  const end = (error: Error | null, socket?: Socket): void => {
    if (isOver) return
    stop()
    settle(error, socket)
  }
  const begin = (): void => {
    clearTimeout(next)
    const address = left.shift()
    if (isOver || address === undefined) return
    running += 1
    const socket = open(address)
    // An error without a listener would end the process; the socket's user adds its own.
    socket.on('error', () => {})
    const failed = (error?: Error): void => {
      socket.off('connect', connected).off('error', failed).off('close', failed)
      running -= 1
      if (left.length > 0) begin()
      else if (running === 0) end(error ?? new Error('no address of the host could be reached'))
    }
    const connected = (): void => {
      socket.off('error', failed).off('close', failed)
      end(null, socket)
    }
    socket.once('connect', connected).once('error', failed).once('close', failed)
    if (left.length > 0) next = setTimeout(begin, ATTEMPT_DELAY)
  }
  if (left.length === 0) end(Object.assign(new Error('the name has no address'), { code: 'ENOTFOUND' }))
  begin()
  return stop
}
