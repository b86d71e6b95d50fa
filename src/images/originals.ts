/** Originals: fetched as they are, one flight for all askers, aged, asked about again, kept when upstream fails. */

import type { Fetched } from '../fetch/fetcher.js'
import { digestOf } from '../model/digest.js'
import { boundedFreshness, type Entry, freshnessOf, imageName } from '../model/entry.js'
import {
  ArtworkError,
  asArtworkError,
  failureStands,
  recallFailure,
  rememberFailure,
} from '../model/errors.js'
import { kindOfType, typeOf } from '../model/media-type.js'
import type { NewEntry } from '../store/store.js'
import type { Original } from './admission.js'
import type { Context, Obtained } from './context.js'

/** An original whose facts are known; its bytes come along when they were just fetched. */
export interface Known {
  readonly entry: Entry
  readonly bytes?: Buffer
}

/** Whether an original changed when it was asked about again. */
export interface Refreshed {
  readonly entry: Entry
  readonly changed: boolean
}

/** See the top of the file. */
export type Originals = ReturnType<typeof createOriginals>

/** Makes the part of the pipeline that has to do with originals. */
export function createOriginals(context: Context) {
  const { settings, store, fetcher, transformer, flights, counts, tell } = context
  const now = () => settings.now()

  /** What another process learned about an original while this one waited for its turn. */
  const learned = (name: string, held: Entry | undefined): Known | undefined => {
    const entry = store.find(name)
    const isNews = entry?.held === true && (held === undefined || entry.checkedAt > held.checkedAt)
    return isNews ? { entry } : undefined
  }
  const ask = async (
    original: Original,
    held: Entry | undefined,
    insist: boolean,
    signal: AbortSignal,
  ): Promise<Known> => {
    const name = imageName(original.text)
    const remembered = store.failures.get(name)
    if (!insist && remembered !== undefined && failureStands(remembered, now()))
      throw recallFailure(remembered, now())
    try {
      const request = await original.source.locate(original.address)
      counts.upstreamRequests += 1
      const fetched = await fetcher.fetch(request, held ?? {}, signal)
      const known = await take(name, request.url, fetched, held)
      if (remembered !== undefined) store.failures.clear(name)
      return known
    } catch (error) {
      counts.failures += 1
      remember(name, error)
      throw error
    }
  }
  /** Fetches, or asks whether the copy held is still right. Failures are remembered, and answered at once while they stand. */
  const consult = (
    original: Original,
    held: Entry | undefined,
    insist: boolean,
    asker?: AbortSignal,
  ): Promise<Known> => {
    const name = imageName(original.text)
    return flights.run(
      `${name}${held === undefined ? '' : '?'}`,
      async (signal) => {
        const turn = await store.turn(name, signal)
        try {
          return (turn.waited && learned(name, held)) || (await ask(original, held, insist, signal))
        } finally {
          turn.end()
        }
      },
      asker,
    )
  }
  const remember = (name: string, error: unknown): void => {
    const failure = rememberFailure(asArtworkError(error), store.failures.get(name), now())
    if (failure !== undefined) store.failures.set(name, failure)
  }

  /** Keeps what was fetched. Bytes that are the same as before renew the entry and change nothing else. */
  const take = async (
    name: string,
    url: string,
    fetched: Fetched,
    held: Entry | undefined,
  ): Promise<Known> => {
    const checkedAt = now()
    const freshFor = boundedFreshness(fetched.freshSeconds, settings.freshness.maxAge)
    const { etag, lastModified } = fetched
    const facts = { checkedAt, freshFor, etag, lastModified }
    if (fetched.outcome === 'not-modified') {
      if (held === undefined)
        throw new ArtworkError('bad_answer', 'the source answered a question that was not asked')
      return {
        entry: store.amend(held, {
          checkedAt,
          freshFor,
          ...(etag && { etag }),
          ...(lastModified && { lastModified }),
        }),
      }
    }
    const { bytes, kind } = fetched
    const digest = digestOf(bytes)
    if (held?.held && held.digest === digest) return { entry: store.amend(held, facts), bytes }
    const { width, height } = await transformer.inspect(bytes, kind)
    const fresh: NewEntry = {
      name,
      role: 'original',
      type: typeOf(kind),
      width,
      height,
      storedAt: checkedAt,
      ...facts,
      sourceUrl: url,
    }
    return { entry: await keep(fresh, bytes, digest), bytes }
  }
  /** A write that fails degrades the answer: the picture is served, and fetched again next time. */
  const keep = async (fresh: NewEntry, bytes: Buffer, digest: string): Promise<Entry> => {
    try {
      return await store.write(fresh, bytes)
    } catch {
      return { ...fresh, digest, size: bytes.length, held: false }
    }
  }

  const find = async (original: Original): Promise<Entry | undefined> => {
    const name = imageName(original.text)
    return store.find(name) ?? store.recall(name)
  }

  /** The facts of an original by the rule of freshness (RFC 9111 §4.2, RFC 5861), fetched where there are none. */
  const obtain = async (original: Original, asker?: AbortSignal): Promise<Known> => {
    const entry = await find(original)
    if (entry === undefined) return consult(original, undefined, false, asker)
    store.use(entry.name)
    const freshness = freshnessOf(entry, settings.freshness, now())
    if (freshness === 'fresh') return { entry }
    if (freshness === 'stale') {
      tell.stale(original.text)
      return { entry }
    }
    try {
      return await consult(original, entry, false, asker)
    } catch (error) {
      if (freshness === 'overdue' && asArtworkError(error).code !== 'cancelled') return { entry }
      throw error
    }
  }

  return {
    obtain,
    /** The bytes of an original whose facts are known; fetched again where they are gone. */
    bytes: async (original: Original, known: Known, asker?: AbortSignal): Promise<Obtained> => {
      if (known.bytes !== undefined) return { entry: known.entry, bytes: known.bytes, from: 'upstream' }
      const held = await store.read(known.entry)
      if (held !== undefined) return { entry: known.entry, ...held }
      const again = await consult(original, undefined, false, asker)
      if (again.bytes !== undefined) return { entry: again.entry, bytes: again.bytes, from: 'upstream' }
      const fetched = await store.read(again.entry)
      if (fetched === undefined) throw new ArtworkError('bad_answer', 'the source sent nothing')
      return { entry: again.entry, ...fetched }
    },
    /**
     * Asks upstream about an original now, whatever its age.
     * @param unconditional fetch it whole, even when a copy is held
     */
    refresh: async (original: Original, unconditional = false): Promise<Refreshed> => {
      const before = await find(original)
      const held = unconditional || before === undefined ? undefined : before
      const { entry } = await consult(original, held, true)
      return { entry, changed: before !== undefined && before.digest !== entry.digest }
    },
    /** The format of an entry, for the transformer. */
    kindOf: (entry: Entry) => {
      const kind = kindOfType(entry.type)
      if (kind === undefined) throw new ArtworkError('unsupported', 'this is not an image of a known format')
      return kind
    },
  }
}
