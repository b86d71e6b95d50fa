/** Everything that is known of a stored image: its facts, what it was made from and what was made of it, and its history. */
import { addressOfKey, type Entry } from '../model/entry.js'
import { type Freshness, freshnessOf, freshUntil } from '../model/freshness.js'
import { entryUrl } from '../model/urls.js'
import type { Content, HistoryItem, SearchQuery, Store } from '../store/ports.js'
import { type Explained, type ExplainParts, explain } from './explain.js'

/** A stored image as an operator sees it. Times in ms since the epoch. */
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

/** What looking at stored images works with. */
export interface ImageDetailsParts extends ExplainParts {
  readonly store: ExplainParts['store'] & Pick<Store, 'read' | 'search' | 'history'>
}

const MAX_MADE = 500
/** Most renditions among which one is chosen. */
const MAX_CHOICES = 1000

/** Makes the verbs that look at stored images. */
export function createImageDetails(parts: ImageDetailsParts) {
  const { store } = parts
  return {
    /** Why an image is answered as it is. @throws ArtworkError */
    explain: (target: Parameters<typeof explain>[1]): Explained => explain(parts, target),
    /** Everything that is known of an image, by its key; undefined where there is none. */
    details: (key: string): ImageDetails | undefined => details(parts, key),
    /** Looks through everything that is stored, uploads apart. */
    search: async (
      query: SearchQuery,
    ): Promise<{ images: readonly StoredImage[]; total: number; next: string | undefined }> => {
      const { entries, total, next } = await store.search(query)
      return {
        images: entries.map(({ lastUsed, ...entry }) => storedImage(parts, entry, lastUsed)),
        total,
        next,
      }
    },
    /** The bytes of an image: of those made from it, the smallest that is at least so wide; itself else. */
    storedBytes: async (
      key: string,
      atLeast: number,
    ): Promise<(Content & { readonly entry: Entry }) | undefined> => {
      const entry = store.find(key)
      if (entry === undefined) return undefined
      const made =
        entry.role === 'original' && entry.width > atLeast
          ? store
              .select({ original: key, limit: MAX_CHOICES })
              .filter((one) => one.isStored && one.width >= atLeast && one.size < entry.size)
              .sort((a, b) => a.width - b.width)
          : []
      for (const one of [...made.slice(0, 1), entry]) {
        const content = await store.read(one)
        if (content !== undefined) return { ...content, entry: one }
      }
      return undefined
    },
  }
}

/** A stored image, with what follows from its facts. */
function storedImage({ settings, store }: ExplainParts, entry: Entry, lastUsed?: number): StoredImage {
  const isOriginal = entry.role === 'original'
  const freshness = freshnessOf(entry, settings.freshness, settings.now())
  return {
    ...entry,
    lastUsed: lastUsed ?? store.lastUsed(entry.key),
    url: entryUrl(settings.urls, entry),
    state: entry.isStored ? (isOriginal ? freshness : 'held') : 'lost',
    freshUntil: isOriginal ? freshUntil(entry, settings.freshness) : undefined,
  }
}

function details(parts: ImageDetailsParts, key: string): ImageDetails | undefined {
  const { store } = parts
  const entry = store.find(key)
  if (entry === undefined) return undefined
  const root = entry.role === 'original' ? entry.key : entry.original
  const original = root === undefined ? undefined : store.find(root)
  const made = root === undefined ? [] : store.select({ original: root, limit: MAX_MADE })
  const keys = [...new Set([entry.key, ...(root === undefined ? [] : [root])])]
  const history = keys
    .flatMap((one) => store.history(one).map((item) => ({ ...item, name: one })))
    .sort((a, b) => b.at - a.at)
  return {
    image: storedImage(parts, entry),
    original: original && storedImage(parts, original),
    made: made
      .filter((one) => one.key !== entry.key || entry.role !== 'original')
      .map((one) => storedImage(parts, one)),
    history,
    why: explainRoot(parts, root),
  }
}

function explainRoot(parts: ExplainParts, root: string | undefined): Explained | undefined {
  const address = root === undefined ? undefined : addressOfKey(root)
  if (address === undefined) return undefined
  try {
    return explain(parts, { address })
  } catch {
    return undefined
  }
}
