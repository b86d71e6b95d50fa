/**
 * Requests for what the router is answering at this moment: they wait before Express is entered, and are given the same
 * answer. Only what is everybody's is shared, and only between equal URLs with an equal `Accept`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { volatileHeaders } from '../../http/caching.js'
import { imageHeaders } from '../../http/image-fields.js'
import { isLoop } from '../../model/loop-detection.js'
import { ownVia, type Settings } from '../../options/settings.js'
import { type ImageResponse, passingRules } from './image-response.js'
import { sendPicture } from './send-picture.js'

/** The request that is answered for others too. */
export interface Lead {
  /** From now on others wait for its answer: it is known to be everybody's. */
  open(): void
  /** Whether others wait. */
  isAwaited(): boolean
  /** @param call called when nobody waits any more, unless it is closed before */
  onAbandoned(call: () => void): void
  /** Gives the others its answer; where there is none they go on as they came. */
  close(shown?: ImageResponse): void
}

interface Waiting {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** Goes on without an answer. */
  goOn(): void
  onClose(): void
}
interface Flight {
  readonly waiting: Set<Waiting>
  abandoned?: () => void
}

/** Who asks for what is held, now, is answered now; what came from ourselves would wait for itself. */
const mayWait = ({ headers }: IncomingMessage, via: string): boolean =>
  !/only-if-cached/i.test(headers['cache-control'] ?? '') && !isLoop(headers.via, via)

/** The same answer to a crowd, its fields made once. */
function answerAll(crowd: Iterable<Waiting>, shown: ImageResponse, settings: Settings): void {
  const now = settings.now()
  const { forward, representation: picture } = shown
  const collapsed = forward && { ...forward, status: undefined, collapsed: true }
  const rules = { ...shown.rules, ...passingRules({ ...shown, forward: collapsed }, settings, now), now }
  const fields = { ...imageHeaders(picture, rules), ...volatileHeaders(rules) }
  const isPublic = fields['Cache-Control']?.startsWith('public') === true
  const flat = isPublic ? Object.entries(fields).flat() : []
  for (const { req, res } of crowd) {
    if (res.headersSent || res.destroyed) continue
    sendPicture(req, res, { picture, rules, fields: { ...fields }, flat }, now, settings)
  }
}

/** Makes them. @param count called for each request that was given the answer to another */
export function createSharedAnswers(settings: Settings, count: () => void) {
  const via = ownVia(settings)
  const flights = new Map<string, Flight>()
  const keyOf = (url: string, { headers }: IncomingMessage): string => `${url} ${headers.accept ?? ''}`

  return {
    /**
     * Has a request wait for the answer to an equal one, where there is one. @param goOn called where that comes to nothing
     * @returns whether it waits
     */
    wait: (url: string, req: IncomingMessage, res: ServerResponse, goOn: () => void): boolean => {
      if (flights.size === 0 || (req.method !== 'GET' && req.method !== 'HEAD')) return false
      const flight = flights.get(keyOf(url, req))
      if (flight === undefined || !mayWait(req, via)) return false
      const onClose = (): void => {
        if (flight.waiting.delete(one) && flight.waiting.size === 0) flight.abandoned?.()
      }
      const one: Waiting = { req, res, goOn, onClose }
      flight.waiting.add(one)
      res.once('close', onClose)
      return true
    },
    /** A request that others may come to wait for. @param url as the client sent it */
    lead: (url: string, req: IncomingMessage): Lead => {
      const key = keyOf(url, req)
      const flight: Flight = { waiting: new Set() }
      return {
        open: () => {
          if (!flights.has(key)) flights.set(key, flight)
        },
        isAwaited: () => flight.waiting.size > 0,
        onAbandoned: (call) => {
          flight.abandoned = call
        },
        close: (shown) => {
          if (flights.get(key) === flight) flights.delete(key)
          const crowd = [...flight.waiting]
          flight.waiting.clear()
          for (const { res, onClose } of crowd) res.off('close', onClose)
          if (shown === undefined) for (const { goOn } of crowd) goOn()
          else {
            for (const _one of crowd) count()
            answerAll(crowd, shown, settings)
          }
        },
      }
    },
  }
}
