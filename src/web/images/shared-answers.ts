/**
 * Requests for what the router is answering at this moment: they wait before Express is entered, and are given the same
 * answer. Only what is everybody's is shared, only between equal URLs with an equal `Accept`, and only until something is
 * purged or changed: who comes after that is answered anew.
 */
import { AsyncResource } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { volatileHeaders } from '../../http/caching.js'
import { imageHeaders } from '../../http/image-fields.js'
import { isLoop } from '../../model/loop-detection.js'
import { ownVia, type Settings } from '../../options/settings.js'
import { isGone, isOnlyIfCached } from '../shared/send.js'
import { type ImageResponse, passingRules } from './image-response.js'
import { sendPicture } from './send-picture.js'

/** The request that is answered for others too. */
export interface Lead {
  /** From now on others wait for its answer, which is known to be everybody's. @param keys what it is made from */
  open(keys: readonly string[]): void
  /** Nobody is to wait for it any more. */
  shut(): void
  /** Whether others wait. */
  isAwaited(): boolean
  /** @param call called when nobody waits any more, unless it is closed before */
  onAbandoned(call: () => void): void
  /** Gives the others its answer; where there is none they go on as they came. */
  close(shown?: ImageResponse): void
}

interface Waiting {
  readonly res: ServerResponse
  readonly arrivedAt: number
  /** Gives it an answer. */
  give(send: (req: IncomingMessage, res: ServerResponse) => void): void
  /** Goes on without one. */
  goOn(): void
  onClose(): void
}
interface Flight {
  readonly waiting: Set<Waiting>
  keys: readonly string[]
  abandoned?: () => void
}

/** Makes what gives a crowd an answer: its fields are made once. */
function answering(shown: ImageResponse, settings: Settings) {
  const now = settings.now()
  const { forward, representation: picture } = shown
  const collapsed = forward && { ...forward, status: undefined, collapsed: true }
  const rules = { ...shown.rules, ...passingRules({ ...shown, forward: collapsed }, settings, now), now }
  const fields = { ...imageHeaders(picture, rules), ...volatileHeaders(rules) }
  const isPublic = fields['Cache-Control']?.startsWith('public') === true
  const flat = isPublic ? Object.entries(fields).flat() : []
  return (req: IncomingMessage, res: ServerResponse): void =>
    sendPicture(req, res, { picture, rules, fields: { ...fields }, flat }, now, settings)
}

/** Makes them. @param count called for each request that was given the answer to another */
export function createSharedAnswers(settings: Settings, count: () => void) {
  const via = ownVia(settings)
  const flights = new Map<string, Flight>()
  /** Requests that have waited once: a failure is not waited for again and again. */
  const hasWaited = new WeakSet<ServerResponse>()
  const keyOf = (url: string, { headers }: IncomingMessage): string => `${url} ${headers.accept ?? ''}`
  /** Who asks for what is held, now, is answered now; what came from ourselves would wait for itself. */
  const mayWait = (req: IncomingMessage, res: ServerResponse): boolean =>
    !isOnlyIfCached(req) && !isLoop(req.headers.via, via) && !hasWaited.has(res) && !isGone(res)
  /** What one of the crowd throws is its own. */
  const each = (crowd: readonly Waiting[], call: (one: Waiting) => void): void => {
    for (const one of crowd)
      try {
        if (!isGone(one.res)) call(one)
      } catch (error) {
        settings.logger.error({ err: error }, 'artwork: a request failed')
        one.res.destroy()
      }
  }

  return {
    /**
     * Has a request wait for the answer to an equal one, where there is one. @param next called where that comes to nothing
     * @returns whether it waits
     */
    wait: (url: string, req: IncomingMessage, res: ServerResponse, next: () => void): boolean => {
      if (flights.size === 0 || (req.method !== 'GET' && req.method !== 'HEAD')) return false
      const flight = flights.get(keyOf(url, req))
      if (flight === undefined || !mayWait(req, res)) return false
      // What follows runs in the context of this request, not in that of the one that is answered.
      const own = new AsyncResource('ArtworkSharedAnswer')
      const onClose = (): void => {
        if (flight.waiting.delete(one) && flight.waiting.size === 0) flight.abandoned?.()
      }
      const one: Waiting = {
        res,
        arrivedAt: settings.now(),
        give: (send) => own.runInAsyncScope(send, undefined, req, res),
        goOn: () => own.runInAsyncScope(next),
        onClose,
      }
      hasWaited.add(res)
      flight.waiting.add(one)
      res.once('close', onClose)
      return true
    },
    /** A request that others may come to wait for. @param url as the client sent it */
    lead: (url: string, req: IncomingMessage): Lead => {
      const key = keyOf(url, req)
      const flight: Flight = { waiting: new Set(), keys: [] }
      const shut = (): void => {
        if (flights.get(key) === flight) flights.delete(key)
      }
      return {
        open: (keys) => {
          if (flights.has(key)) return
          flight.keys = keys
          flights.set(key, flight)
        },
        shut,
        isAwaited: () => flight.waiting.size > 0,
        onAbandoned: (call) => {
          flight.abandoned = call
        },
        close: (shown) => {
          shut()
          const crowd = [...flight.waiting]
          flight.waiting.clear()
          for (const { res, onClose } of crowd) res.off('close', onClose)
          // What nobody may keep is for those who had asked when it came.
          const { isTransient = false, checkedAt = 0 } = shown ?? {}
          const isGiven = ({ arrivedAt }: Waiting): boolean =>
            shown !== undefined && (!isTransient || arrivedAt <= checkedAt)
          if (shown !== undefined && crowd.length > 0) {
            const answer = answering(shown, settings)
            each(crowd.filter(isGiven), (one) => {
              count()
              one.give(answer)
            })
          }
          each(
            crowd.filter((one) => !isGiven(one)),
            (one) => one.goOn(),
          )
        },
      }
    },
    /** What has changed, or may have been purged, is answered anew to whoever comes from now on. */
    changed: (names: readonly string[] | 'all'): void => {
      if (flights.size === 0) return
      for (const [key, { keys }] of flights)
        if (names === 'all' || keys.some((name) => names.includes(name))) flights.delete(key)
    },
  }
}
