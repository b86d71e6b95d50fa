/** Everything that is known of one kept picture: its facts, what it was made from and what was made of it, and its past. */

import type { Context } from '../images/context.js'
import { versionOf } from '../model/digest.js'
import { type Entry, type Freshness, freshnessOf, freshUntil } from '../model/entry.js'
import type { HistoryItem } from '../store/ports.js'
import { type Explained, type ExplainParts, explain } from './explain.js'

/** A kept picture as who manages it sees it. Times in ms since the epoch. */
export interface StoredImage extends Entry {
  readonly lastUsed: number | undefined
  /** Where we serve it. */
  readonly url: string
  /** Of an original, how it may be used now; `lost` where its bytes are gone. */
  readonly state: Freshness | 'held' | 'lost'
  readonly freshUntil: number | undefined
}

/** See the top of the file. */
export interface ImageDetails {
  readonly image: StoredImage
  /** What it was made from, where that is known; itself, where it is an original. */
  readonly original: StoredImage | undefined
  /** What was made from the same original, entities' pictures among it. */
  readonly made: readonly StoredImage[]
  /** What happened to it and to its original, latest first. */
  readonly history: readonly (HistoryItem & { readonly name: string })[]
  /** Which layer answers now and why; undefined where no source takes its address any more. */
  readonly why: Explained | undefined
}

const MOST = 500

/** A kept picture, with what follows from its facts. */
export function storedImage({ settings, store }: Context, entry: Entry, lastUsed?: number): StoredImage {
  const { urls } = settings
  const isLocal = entry.key.startsWith('local/')
  const path = entry.key.slice(entry.key.indexOf('/') + 1)
  const url = isLocal
    ? `${urls.base}${urls.local}/${path}?v=${versionOf(entry.digest)}`
    : `${urls.base}${urls.images}/${path.replaceAll('%', '%25')}`
  const isOriginal = entry.role === 'original'
  const freshness = freshnessOf(entry, settings.freshness, settings.now())
  return {
    ...entry,
    lastUsed: lastUsed ?? store.lastUsed(entry.key),
    url,
    state: entry.isStored ? (isOriginal ? freshness : 'held') : 'lost',
    freshUntil: isOriginal ? freshUntil(entry, settings.freshness) : undefined,
  }
}

/** @returns undefined for a name that is not there */
export function imageDetails(parts: ExplainParts, name: string): ImageDetails | undefined {
  const { context } = parts
  const { store } = context
  const entry = store.find(name)
  if (entry === undefined) return undefined
  const root = entry.role === 'original' ? entry.key : entry.original
  const original = root === undefined ? undefined : store.find(root)
  const made = root === undefined ? [] : store.select({ original: root, limit: MOST })
  const names = [...new Set([entry.key, ...(root === undefined ? [] : [root])])]
  const history = names
    .flatMap((one) => store.history(one).map((item) => ({ ...item, name: one })))
    .sort((a, b) => b.at - a.at)
  return {
    image: storedImage(context, entry),
    original: original && storedImage(context, original),
    made: made
      .filter((one) => one.key !== entry.key || entry.role !== 'original')
      .map((one) => storedImage(context, one)),
    history,
    why: whyOf(parts, root),
  }
}

function whyOf(parts: ExplainParts, root: string | undefined): Explained | undefined {
  if (root === undefined || !root.startsWith('images/')) return undefined
  try {
    return explain(parts, { address: root.slice('images/'.length) })
  } catch {
    return undefined
  }
}
