/**
 * Answers that memory can give again: by URL, with their header fields ready. The router asks here first, and the
 * fast lane asks here before Express is entered, so both give the same bytes and the same fields. Only what
 * `artwork.router` answered before is here, and only for as long as every name that it rests on stays as it is.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Negotiation, negotiate } from '../../http/accept.js'
import { volatileHeaders } from '../../http/caching.js'
import { imageHeaders } from '../../http/image-fields.js'
import type { Entry } from '../../model/entry.js'
import { typeOf } from '../../model/media-type.js'
import type { Settings } from '../../options/settings.js'
import { type ImageResponse, passingRules } from './image-response.js'
import { sendPicture } from './send-picture.js'
import { createSharedAnswers } from './shared-answers.js'

/** What the answers rest on: the memory layer, and who counts. */
export interface Dependencies {
  /** Whether the bytes of a content are in memory; they count as used now. */
  keepsBytes(digest: string): boolean
  /** Whether an entry is what its name stands for now. */
  isCurrent(entry: Entry): boolean
  /** Notes that a name was used. */
  use(name: string): void
  /** Counts a hit. */
  count(): void
}

interface CachedResponse {
  readonly shown: ImageResponse
  readonly fields: Record<string, string>
  /** The fields of a 200 as `writeHead` takes them, names and values in turn. */
  flat: string[]
  /** The second that the passing fields are right for. */
  second: number
  readonly until: number
  /** What it is counted at, bytes. */
  readonly size: number
}

/** See the top of the file. */
export type ResponseCache = ReturnType<typeof createResponseCache>

const MAX_ANSWERS = 8192
/** Share of the memory for pictures that keys and fields may take beside it, and the least that they may. */
const MAX_SHARE = 0.25
const LEAST_BYTES = 256 * 1024
/** Bytes of what holds an answer together, in the mean. */
const OVERHEAD = 500
const MAX_ACCEPTS = 256
/** A longer question is answered and not remembered, characters. */
const LONGEST_QUESTION = 512

/** What an answer takes beside the bytes of its picture, which memory counts. */
const sizeOf = (key: string, fields: Readonly<Record<string, string>>): number =>
  OVERHEAD + 2 * (key.length * 2 + Object.entries(fields).flat().join().length)

/** The names and the digest that an answer rests on. */
const groundsOf = ({ entries, representation }: ImageResponse): string[] => [
  ...entries.map((entry) => entry.key),
  representation.digest,
]

/** Makes what says which format an `Accept` comes down to. Few texts make up most requests, so they are remembered. */
function createFormatChoice() {
  const choices = new Map<string, string>()
  return (accept: string | undefined, negotiation: Negotiation, text: string): string => {
    const question = `${text} ${accept ?? ''}`
    const known = choices.get(question)
    if (known !== undefined) return known
    const format = negotiate(accept, negotiation)
    const type = format === undefined ? negotiation.plainType : typeOf(format)
    if (choices.size >= MAX_ACCEPTS) choices.clear()
    if (question.length < LONGEST_QUESTION) choices.set(question, type)
    return type
  }
}

/** Makes the table; it is empty, and stays so where answers are private or nothing is kept in memory. */
export function createResponseCache(settings: Settings, grounds: Dependencies) {
  const answers = new Map<string, CachedResponse>()
  /** Of negotiated URLs: what their format is chosen by, and that as text. */
  const negotiations = new Map<string, { readonly negotiation: Negotiation; readonly text: string }>()
  /** Which answers rest on a name or a digest. */
  const resting = new Map<string, Set<string>>()
  const choose = createFormatChoice()
  const shared = createSharedAnswers(settings, grounds.count)
  const maxBytes = Math.max(LEAST_BYTES, settings.memory.maxBytes * MAX_SHARE)
  let bytes = 0
  const drop = (key: string): void => {
    const hot = answers.get(key)
    if (hot === undefined) return
    answers.delete(key)
    bytes -= hot.size
    for (const ground of groundsOf(hot.shown)) {
      const keys = resting.get(ground)
      keys?.delete(key)
      if (keys?.size === 0) resting.delete(ground)
    }
  }
  const dropAll = (): void => {
    answers.clear()
    bytes = 0
    negotiations.clear()
    resting.clear()
  }
  const dropOn = (ground: string): void => {
    for (const key of resting.get(ground) ?? []) drop(key)
  }
  /** Makes the passing fields right for this second. Answers false where the bytes have left memory. */
  const renew = (key: string, hot: CachedResponse, now: number): boolean => {
    const { shown } = hot
    if (!grounds.keepsBytes(shown.representation.digest)) return false
    const [shownEntry] = shown.entries
    if (shownEntry !== undefined) grounds.use(shownEntry.key)
    Object.assign(hot.fields, volatileHeaders({ ...shown.rules, ...passingRules(shown, settings, now) }))
    hot.flat = Object.entries(hot.fields).flat()
    hot.second = Math.floor(now / 1000)
    // The table forgets what was renewed longest ago.
    answers.delete(key)
    answers.set(key, hot)
    return true
  }
  const find = (url: string, req: IncomingMessage): readonly [string, CachedResponse] | undefined => {
    const known = negotiations.get(url)
    const key =
      known === undefined ? url : `${url} ${choose(req.headers.accept, known.negotiation, known.text)}`
    const hot = answers.get(key)
    return hot === undefined ? undefined : [key, hot]
  }

  return {
    /** Those that wait for what is being answered. */
    shared,
    /** Answers a request whose answer is here. @param url as the client sent it @returns whether it did */
    answer: (url: string, req: IncomingMessage, res: ServerResponse): boolean => {
      const { method } = req
      if (method !== 'GET' && method !== 'HEAD') return false
      const found = find(url, req)
      if (found === undefined) return false
      const [key, hot] = found
      const now = settings.now()
      if (now >= hot.until || (Math.floor(now / 1000) !== hot.second && !renew(key, hot, now))) {
        drop(key)
        return false
      }
      grounds.count()
      const { representation: picture, rules } = hot.shown
      const { fields, flat } = hot
      sendPicture(req, res, { picture, rules, fields, flat }, now, settings)
      return true
    },
    /** Keeps an answer that was given for a URL, where it may be given again. */
    offer: (url: string, shown: ImageResponse): void => {
      const { representation: picture, rules, entries, negotiated, freshUntil, signedUntil } = shown
      if (!shown.isHot || shown.forward !== undefined || rules.isPrivate || settings.private) return
      if (!entries.every(grounds.isCurrent) || !grounds.keepsBytes(picture.digest)) return
      const now = settings.now()
      const until = Math.min(freshUntil ?? Number.POSITIVE_INFINITY, signedUntil ?? Number.POSITIVE_INFINITY)
      if (until <= now) return
      const key = negotiated === undefined ? url : `${url} ${negotiated.type}`
      drop(key)
      if (negotiated !== undefined) {
        if (negotiations.size >= MAX_ANSWERS) dropAll()
        const { negotiation } = negotiated
        const { plainType, modern, fallback } = negotiation
        negotiations.set(url, { negotiation, text: `${plainType} ${modern} ${fallback}` })
      }
      const fields = imageHeaders(picture, { ...rules, now })
      const hot: CachedResponse = { shown, fields, flat: [], second: 0, until, size: sizeOf(key, fields) }
      for (const oldest of answers.keys()) {
        if (answers.size < MAX_ANSWERS && bytes + hot.size <= maxBytes) break
        drop(oldest)
      }
      if (!renew(key, hot, now)) return
      bytes += hot.size
      for (const ground of groundsOf(shown)) {
        const keys = resting.get(ground) ?? new Set()
        resting.set(ground, keys.add(key))
      }
    },
    /** Hears what is no longer in memory as it was. */
    watcher: {
      changed: (names: readonly string[] | 'all'): void => {
        shared.changed(names)
        if (names === 'all') dropAll()
        else for (const name of names) dropOn(name)
      },
      evicted: dropOn,
      purged: (): void => shared.changed('all'),
    },
    /** How many answers are here. */
    size: (): number => answers.size,
  }
}
