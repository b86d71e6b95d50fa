/** Why an image is answered as it is: what is stored, until when it is fresh, what failed last, and what happens next. */
import type { AutoFormats } from '../images/auto-formats.js'
import type { Recipes } from '../images/recipes.js'
import { readTarget } from '../images/references.js'
import type { Original, Resolved, Resolver } from '../images/resolve-address.js'
import { type Address, formatAddress, toAddress } from '../model/address.js'
import { addressOfKey, type Entry, imageKey } from '../model/entry.js'
import { ArtworkError, asArtworkError, isOriginalFailureActive } from '../model/failure.js'
import { adviceFor } from '../model/failure-advice.js'
import { canExpire, freshnessOf, freshUntil } from '../model/freshness.js'
import type { OneOf } from '../model/one-of.js'
import { isOwnUrl } from '../model/urls.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'

/** What is known of one name. Times in ms since the epoch. */
export interface ExplainedName {
  /** What it is stored under. */
  readonly name: string
  /** Whether it is an original, a rendition or an entity's image. */
  readonly role: Entry['role']
  /** Its media type. */
  readonly type: string
  /** Pixels. */
  readonly width: number
  /** Pixels. */
  readonly height: number
  /** Bytes. */
  readonly size: number
  /** SHA-256 of its bytes, hex. */
  readonly digest: string
  /** Whether its bytes are there. */
  readonly held: boolean
  /** When its bytes came. */
  readonly storedAt: number
  /** When it was last used, to the day; undefined where that is not known. */
  readonly lastUsed: number | undefined
}

/** See the top of the file. */
export interface Explained {
  /** The canonical address that was asked about. */
  readonly address: string
  /** Its original, where one is stored. */
  readonly original: ExplainedName | undefined
  /** What was made from it. */
  readonly renditions: readonly ExplainedName[]
  /** Whether the answer would be `held`, `stale` (held, and asked about behind), `fetched`, or a remembered `failure`. */
  readonly answer: 'held' | 'stale' | 'fetched' | 'failure'
  /**
   * Which layer that comes from: `memory`, `disk`, `made` anew from the original that is held, `upstream`, or `none` of
   * them while a failure stands.
   */
  readonly layer: 'memory' | 'disk' | 'made' | 'upstream' | 'none'
  /** When upstream was asked about it last, ms since the epoch. */
  readonly checkedAt: number | undefined
  /** Until when upstream is not asked again, ms since the epoch. */
  readonly freshUntil: number | undefined
  /** Where its original was fetched. */
  readonly sourceUrl: string | undefined
  /** Why it cannot be had, where that is remembered. */
  readonly failure:
    | {
        /** Row of the table of errors. */
        readonly code: string
        /** The same in words. */
        readonly message: string
        /** When it failed, ms since the epoch. */
        readonly at: number
        /** When it is tried again, ms since the epoch. */
        readonly nextTry: number
        /** How often in a row it has failed. */
        readonly times: number
        /** The rule of ours that refused, in one word; undefined where it was none. */
        readonly rule: string | undefined
        /** What to do, with the option that mends it. */
        readonly mend: string | undefined
      }
    | undefined
}

const MAX_RENDITIONS = 200
/** What clients of a negotiated image may accept. */
const ACCEPTED = ['image/avif,image/webp', 'image/webp', undefined]

/** What explaining works with. */
export interface ExplainParts {
  readonly settings: Pick<Settings, 'now' | 'freshness' | 'urls' | 'sources'>
  readonly store: Pick<Store, 'find' | 'select' | 'lastUsed' | 'inMemory' | 'negativeCache'>
  readonly resolver: Resolver
  readonly recipes: Recipes
  readonly autoFormats: AutoFormats
  /** Names this run of the app, whose settings a failure may be about. */
  readonly run: string
}

/**
 * Why a picture is answered as it is. An address may be a URL that we printed, or an artwork path: then it is its original
 * that is explained.
 * @throws ArtworkError `invalid` (400), `refused` (403), `unknown_image` (404)
 */
export function explain(
  parts: ExplainParts,
  target: OneOf<{ readonly address: Address | string; readonly url: string }>,
): Explained {
  const { url } = target
  if (url !== undefined && !isOwnUrl(parts.settings.urls, url))
    return explainOriginal(
      parts,
      withMend(() => parts.resolver.resolveUrl(url)),
      undefined,
    )
  const found = readTarget(parts, target.url ?? target.address)
  const original = 'local' in found ? found.local.original : undefined
  if ('local' in found && original === undefined)
    throw new ArtworkError('unknown_image', 'nothing is known of its original')
  const address = 'address' in found ? found.address : (addressOfKey(original ?? '') ?? '')
  const resolved = parts.resolver.resolve(toAddress(address), true)
  return explainOriginal(parts, resolved.original, {
    resolved,
    text: formatAddress(toAddress(address)),
  })
}

/** What refuses says what mends it. */
function withMend<T>(look: () => T): T {
  try {
    return look()
  } catch (thrown) {
    const error = asArtworkError(thrown)
    const mend = adviceFor(error)?.mend
    if (mend === undefined) throw error
    throw new ArtworkError(error.code, `${error.message}: ${mend}`, { cause: error })
  }
}

/** @param asked the address that was asked about; undefined for a URL, which is its original */
function explainOriginal(
  parts: ExplainParts,
  { text }: Original,
  asked: { readonly resolved: Resolved; readonly text: string } | undefined,
): Explained {
  const { settings, store, run } = parts
  const key = imageKey(text)
  const now = settings.now()
  const entry = store.find(key)
  const failure = store.negativeCache.get(key)
  const advice = failure && adviceFor(failure)
  const isFailing = failure !== undefined && isOriginalFailureActive(failure, now, run)
  const freshness = entry && freshnessOf(entry, settings.freshness, now)
  const answer = asked === undefined ? entry : findCurrent(parts, asked.resolved, entry)
  const isCurrent = answer?.isStored === true
  const isUsable = entry !== undefined && freshness !== 'dead' && (isCurrent || entry.isStored)
  const layer = isCurrent ? (store.inMemory(answer.digest) ? 'memory' : 'disk') : 'made'
  const describe = (one: Entry): ExplainedName => nameOf(one, store.lastUsed(one.key))
  return {
    address: asked?.text ?? text,
    original: entry && describe(entry),
    renditions: store.select({ original: key, limit: MAX_RENDITIONS }).map(describe),
    answer: isUsable ? (freshness === 'fresh' ? 'held' : 'stale') : isFailing ? 'failure' : 'fetched',
    layer: isUsable ? layer : isFailing ? 'none' : 'upstream',
    checkedAt: entry?.validatedAt,
    freshUntil: entry !== undefined && canExpire(entry) ? freshUntil(entry, settings.freshness) : undefined,
    sourceUrl: entry?.sourceUrl,
    failure: failure && {
      code: failure.code,
      message: failure.message,
      at: failure.at,
      nextTry: failure.until,
      times: failure.count,
      rule: advice?.rule,
      mend: advice?.mend,
    },
  }
}

/** The stored image that an address would be answered with; a negotiated one, of the formats that it may come down to. */
function findCurrent(
  { store, recipes, autoFormats }: ExplainParts,
  resolved: Resolved,
  original: Entry | undefined,
): Entry | undefined {
  const isNegotiated = resolved.variant.format === 'auto' && original !== undefined
  const candidates = isNegotiated
    ? ACCEPTED.map((accept) => autoFormats.choose(resolved, original, accept).resolved)
    : [resolved]
  return candidates
    .map(({ address, recipe }) => {
      if (recipe === undefined) return original
      const made = store.find(imageKey(formatAddress(address)))
      const isOld = original !== undefined && made !== undefined && !recipes.isCurrent(made, original, recipe)
      return isOld ? undefined : made
    })
    .find((one) => one?.isStored)
}

const nameOf = (entry: Entry, lastUsed: number | undefined): ExplainedName => ({
  name: entry.key,
  role: entry.role,
  type: entry.type,
  width: entry.width,
  height: entry.height,
  size: entry.size,
  digest: entry.digest,
  held: entry.isStored,
  storedAt: entry.storedAt,
  lastUsed,
})
