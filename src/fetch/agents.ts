/** Keep-alive agents with bounded sockets and a bound on connecting; one pair guarded, one for exceptions. */
import { type AgentOptions, Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { LookupFunction, Socket } from 'node:net'

/** How sockets are made. */
export interface AgentsOptions {
  /** Sockets of one host. The bound on all hosts together is kept by places, which knows who waits. */
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

/** An agent whose new sockets are destroyed when they are not ready in time. */
function bounded<A extends HttpAgent>(agent: A, timeout: number, ready: 'connect' | 'secureConnect'): A {
  const connect = agent.createConnection.bind(agent)
  agent.createConnection = (options, callback) => {
    const stream = connect(options, callback)
    const socket = stream as Socket | null | undefined
    if (socket === null || socket === undefined) return stream
    const late = () =>
      socket.destroy(Object.assign(new Error('connect timeout'), { code: 'ECONNECTTIMEOUT' }))
    const timer = setTimeout(late, timeout)
    const settle = () => clearTimeout(timer)
    socket.once(ready, settle).once('close', settle)
    return stream
  }
  return agent
}
