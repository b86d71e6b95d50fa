/** Why a picture is answered as it is: what is held, until when it is fresh, what failed last, and what happens next. */

import type { AutoFormats } from '../images/auto-formats.js'
import type { Context } from '../images/context.js'
import type { Originals } from '../images/originals.js'
import type { Renditions } from '../images/renditions.js'
import type { Resolver } from '../images/resolve.js'
import { type Address, formatAddress, toAddress } from '../model/address.js'
import { canExpire, type Entry, freshnessOf, freshUntil, imageKey } from '../model/entry.js'

/** What is known of one name. Times in ms since the epoch. */
export interface ExplainedName {
  readonly name: string
  readonly role: Entry['role']
  readonly type: string
  readonly width: number
  readonly height: number
  readonly size: number
  readonly digest: string
  readonly held: boolean
  readonly storedAt: number
  readonly lastUsed: number | undefined
}

/** See the top of the file. */
export interface Explained {
  /** The canonical address that was asked about. */
  readonly address: string
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
  readonly checkedAt: number | undefined
  readonly freshUntil: number | undefined
  readonly sourceUrl: string | undefined
  readonly failure:
    | {
        readonly code: string
        readonly message: string
        readonly at: number
        readonly nextTry: number
        readonly times: number
      }
    | undefined
}

const MOST = 200
/** What askers of a negotiated picture may accept. */
const FORMS = ['image/avif,image/webp', 'image/webp', undefined]

/** What explaining works with. */
export interface ExplainParts {
  readonly context: Context
  readonly admission: Resolver
  readonly autoFormats: AutoFormats
  readonly originals: Pick<Originals, 'stands'>
  readonly renditions: Renditions
}

/** Explains an address or a source URL. @throws ArtworkError `invalid` (400), `refused` (403) */
export function explain(
  { context: { settings, store }, admission, autoFormats, originals, renditions }: ExplainParts,
  target: { readonly address: Address | string } | { readonly url: string },
): Explained {
  const original =
    'url' in target
      ? admission.resolveUrl(target.url)
      : admission.resolve(toAddress(target.address), true).original
  const address = 'url' in target ? original.text : formatAddress(toAddress(target.address))
  const name = imageKey(original.text)
  const now = settings.now()
  const tell = (entry: Entry): ExplainedName => ({
    name: entry.key,
    role: entry.role,
    type: entry.type,
    width: entry.width,
    height: entry.height,
    size: entry.size,
    digest: entry.digest,
    held: entry.isStored,
    storedAt: entry.storedAt,
    lastUsed: store.lastUsed(entry.key),
  })
  const entry = store.find(name)
  const failure = store.negativeCache.get(name)
  const stands = failure !== undefined && originals.stands(failure)
  const freshness = entry && freshnessOf(entry, settings.freshness, now)
  // What is negotiated is kept under the forms that it may come down to.
  const admitted = 'url' in target ? undefined : admission.resolve(toAddress(target.address), true)
  const forms =
    admitted === undefined
      ? []
      : admitted.variant.format === 'auto' && entry !== undefined
        ? FORMS.map((accept) => autoFormats.choose(admitted, entry, accept).admitted)
        : [admitted]
  const current = forms
    .map(({ address: form, recipe }) => {
      const made = recipe === undefined ? entry : store.find(imageKey(formatAddress(form)))
      const isMade = recipe !== undefined && entry !== undefined && made !== undefined
      return isMade && !renditions.isCurrent(made, entry, recipe) ? undefined : made
    })
    .find((one) => one?.isStored)
  const asked = admitted === undefined ? entry : current
  const isCurrent = asked?.isStored === true
  const isUsable = entry !== undefined && freshness !== 'dead' && (isCurrent || entry.isStored)
  const held = isCurrent ? (store.inMemory(asked.digest) ? 'memory' : 'disk') : 'made'
  return {
    address,
    original: entry && tell(entry),
    renditions: store.select({ original: name, limit: MOST }).map(tell),
    answer: isUsable ? (freshness === 'fresh' ? 'held' : 'stale') : stands ? 'failure' : 'fetched',
    layer: isUsable ? held : stands ? 'none' : 'upstream',
    checkedAt: entry?.validatedAt,
    freshUntil: entry !== undefined && canExpire(entry) ? freshUntil(entry, settings.freshness) : undefined,
    sourceUrl: entry?.sourceUrl,
    failure: failure && {
      code: failure.code,
      message: failure.message,
      at: failure.at,
      nextTry: failure.until,
      times: failure.count,
    },
  }
}
