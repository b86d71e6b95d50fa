/**
 * Answers that can be given again: by URL, with their header fields ready; their bytes are in memory, or are read from the
 * store. The router asks here first, and the fast lane asks here before Express is entered, so both give the same bytes and the
 * same fields. Only what `artwork.router` answered before is here, and only for as long as every name that it rests on stays as
 * it is.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Negotiation, negotiate } from '../../http/accept.js'
import { volatileHeaders } from '../../http/caching.js'
import { imageHeaders, type Representation } from '../../http/image-fields.js'
import type { Entry } from '../../model/entry.js'
import { typeOf } from '../../model/media-type.js'
import type { Settings } from '../../options/settings.js'
import type { Content } from '../../store/ports.js'
import { isGone } from '../shared/send.js'
import { createAnswerTable, MAX_ANSWERS } from './answer-table.js'
import { type AnswerFacts, type ImageResponse, passingRules } from './image-response.js'
import { type ReadyPicture, sendPicture } from './send-picture.js'
import { createSharedAnswers } from './shared-answers.js'

/** What the answers rest on: the memory layer, the store below it, and who counts. */
export interface Dependencies {
  /** The bytes of a content that are in memory; they count as used now. */
  bytesOf(digest: string): Buffer | undefined
  /** The bytes of an entry from wherever they are, verified; undefined where they are gone or damaged. */
  read(entry: Entry): Promise<Content | undefined>
  /** Whether an entry is what its name stands for now. */
  isCurrent(entry: Entry): boolean
  /** Notes that a name was used. */
  use(name: string): void
  /** Counts a hit. */
  count(from: 'memory' | 'disk'): void
}

interface CachedResponse {
  /** Without the bytes, which memory and the store have. */
  readonly picture: Omit<Representation, 'bytes'>
  readonly shown: AnswerFacts
  /** The names and the digest that it rests on. */
  readonly grounds: readonly string[]
  readonly fields: Record<string, string>
  /** The fields of a 200 as `writeHead` takes them, names and values in turn. */
  flat: string[]
  /** With its bytes, for this second; undefined where they are not in memory. */
  ready: ReadyPicture | undefined
  /** The second that the passing fields are right for. */
  second: number
  readonly until: number
  /** What it is counted at, bytes. */
  readonly size: number
}

/** See the top of the file. */
export type ResponseCache = ReturnType<typeof createResponseCache>

/** Share of the memory for pictures that keys and fields may take beside it, and the least that they may. */
const MAX_SHARE = 0.25
const LEAST_BYTES = 8 * 1024 ** 2
/** Bytes of what holds an answer together, with the facts of what it rests on, in the mean. */
const OVERHEAD = 2000
const MAX_ACCEPTS = 256
/** A longer question is answered and not remembered, characters. */
const LONGEST_QUESTION = 512

/** What an answer takes beside the bytes of its picture, which memory counts. */
const sizeOf = (key: string, fields: Readonly<Record<string, string>>): number =>
  OVERHEAD + 2 * (key.length * 2 + Object.entries(fields).flat().join().length)

/** Whether they are the bytes of the store that are answered, should they leave memory. */
const isReadable = ({ entries, isOfFile }: AnswerFacts): boolean =>
  isOfFile !== true && entries[0]?.isStored === true

/**
 * Makes the keys of answers: the URL, and of a negotiated one the type that the request's `Accept` comes down to. Few texts of
 * that field make up most requests, so they are remembered.
 */
function createKeys() {
  /** Of negotiated URLs: what their format is chosen by, and that as text. */
  const negotiations = new Map<string, { readonly negotiation: Negotiation; readonly text: string }>()
  const choices = new Map<string, string>()
  const choose = (accept: string | undefined, negotiation: Negotiation, text: string): string => {
    const question = `${text} ${accept ?? ''}`
    const known = choices.get(question)
    if (known !== undefined) return known
    const format = negotiate(accept, negotiation)
    const type = format === undefined ? negotiation.plainType : typeOf(format)
    if (choices.size >= MAX_ACCEPTS) choices.clear()
    if (question.length < LONGEST_QUESTION) choices.set(question, type)
    return type
  }
  return {
    /** Of a request. */
    of: (url: string, { headers }: IncomingMessage): string => {
      const known = negotiations.get(url)
      return known === undefined ? url : `${url} ${choose(headers.accept, known.negotiation, known.text)}`
    },
    /** Of an answer; from now on that of its URL is chosen as it was. */
    add: (url: string, negotiated: ImageResponse['negotiated']): string => {
      if (negotiated === undefined) return url
      const { negotiation, type } = negotiated
      const { plainType, modern, fallback } = negotiation
      negotiations.set(url, { negotiation, text: `${plainType} ${modern} ${fallback}` })
      return `${url} ${type}`
    },
    isFull: (): boolean => negotiations.size >= MAX_ANSWERS,
    clear: (): void => negotiations.clear(),
  }
}

/** An answer as it is sent. */
const readyOf = ({ picture, shown, fields, flat }: CachedResponse, bytes: Buffer): ReadyPicture => ({
  picture: { ...picture, bytes },
  rules: shown.rules,
  fields,
  flat,
})

/** Makes what reads an entry's bytes, a single time for all who ask meanwhile. */
function createReads({ read }: Pick<Dependencies, 'read'>) {
  const reading = new Map<string, Promise<Content | undefined>>()
  return ({ entries: [entry] }: AnswerFacts): Promise<Content | undefined> => {
    if (entry === undefined) return Promise.resolve(undefined)
    const running =
      reading.get(entry.digest) ??
      read(entry)
        .catch(() => undefined)
        .finally(() => reading.delete(entry.digest))
    reading.set(entry.digest, running)
    return running
  }
}

/** Makes the table; it is empty, and stays so where answers are private or nothing is kept in memory. */
export function createResponseCache(settings: Settings, grounds: Dependencies) {
  const maxBytes = Math.max(LEAST_BYTES, settings.memory.maxBytes * MAX_SHARE)
  const answers = createAnswerTable<CachedResponse>(maxBytes)
  const keys = createKeys()
  const read = createReads(grounds)
  const shared = createSharedAnswers(settings, () => grounds.count('memory'))
  const dropAll = (): void => {
    answers.clear()
    keys.clear()
  }
  /** Makes what passes right for this second: fields, and whether its bytes are in memory. */
  const renew = (key: string, hot: CachedResponse, now: number): void => {
    const second = Math.floor(now / 1000)
    if (second === hot.second) return
    const { shown } = hot
    const [shownEntry] = shown.entries
    if (shownEntry !== undefined) grounds.use(shownEntry.key)
    Object.assign(hot.fields, volatileHeaders({ ...shown.rules, ...passingRules(shown, settings, now) }))
    hot.flat = Object.entries(hot.fields).flat()
    hot.second = second
    const bytes = grounds.bytesOf(hot.picture.digest)
    hot.ready = bytes && readyOf(hot, bytes)
    answers.use(key, hot)
  }
  /** Answers with bytes that have to be read; where they are not there, or not the answer any more, somebody else answers. */
  const answerFromStore = async (
    key: string,
    hot: CachedResponse,
    req: IncomingMessage,
    res: ServerResponse,
    next: () => void,
  ): Promise<void> => {
    const content = await read(hot.shown)
    if (isGone(res) || res.headersSent) return
    const now = settings.now()
    if (content === undefined && answers.get(key) === hot) answers.drop(key)
    try {
      if (content === undefined || answers.get(key) !== hot || now >= hot.until) next()
      else {
        renew(key, hot, now)
        grounds.count(content.from)
        sendPicture(req, res, readyOf(hot, content.bytes), now, settings)
      }
    } catch (error) {
      settings.logger.error({ err: error }, 'artwork: a request failed')
      res.destroy()
    }
  }

  return {
    /** Those that wait for what is being answered. */
    shared,
    /**
     * Answers a request whose answer is here. @param url as the client sent it @param next called where it comes to nothing after
     * all @returns whether it takes the request on
     */
    answer: (url: string, req: IncomingMessage, res: ServerResponse, next: () => void): boolean => {
      const { method } = req
      if (method !== 'GET' && method !== 'HEAD') return false
      const key = keys.of(url, req)
      const hot = answers.get(key)
      if (hot === undefined) return false
      const now = settings.now()
      renew(key, hot, now)
      if (now >= hot.until || (hot.ready === undefined && !isReadable(hot.shown))) {
        answers.drop(key)
        return false
      }
      if (hot.ready === undefined) void answerFromStore(key, hot, req, res, next)
      else {
        grounds.count('memory')
        sendPicture(req, res, hot.ready, now, settings)
      }
      return true
    },
    /** Keeps an answer that was given for a URL, where it may be given again. */
    offer: (url: string, given: ImageResponse): void => {
      const { representation, ...shown } = given
      const { rules, entries, negotiated, freshUntil, signedUntil } = shown
      if (settings.memory.maxBytes === 0 || settings.private) return
      if (!shown.isRepeatable || shown.forward !== undefined || rules.isPrivate) return
      if (!entries.every(grounds.isCurrent)) return
      if (!isReadable(shown) && grounds.bytesOf(representation.digest) === undefined) return
      const now = settings.now()
      const until = Math.min(freshUntil ?? Number.POSITIVE_INFINITY, signedUntil ?? Number.POSITIVE_INFINITY)
      if (until <= now) return
      if (negotiated !== undefined && keys.isFull()) dropAll()
      const key = keys.add(url, negotiated)
      const fields = imageHeaders(representation, { ...rules, now })
      const { bytes: _bytes, ...picture } = representation
      const size = sizeOf(key, fields)
      const rests = [...entries.map((entry) => entry.key), picture.digest]
      const passing = { flat: [], ready: undefined, second: -1 }
      const hot: CachedResponse = { picture, shown, grounds: rests, fields, ...passing, until, size }
      answers.set(key, hot)
      renew(key, hot, now)
    },
    /** Hears what is no longer as it was. */
    watcher: {
      changed: (names: readonly string[] | 'all'): void => {
        shared.changed(names)
        if (names === 'all') dropAll()
        else for (const name of names) answers.dropOn(name)
      },
      evicted: (digest: string): void => {
        for (const hot of answers.restingOn(digest)) hot.ready = undefined
      },
      purged: (): void => shared.changed('all'),
    },
    /** How many answers are here. */
    size: answers.size,
  }
}
