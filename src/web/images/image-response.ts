/** A picture as it is shown: what the routers decide of it, and the Reply that it comes to at a moment. */

import type { Negotiation } from '../../http/accept.js'
import { type CachePolicy, cacheStatus, expireBy } from '../../http/caching.js'
import { type RequestFields, respond } from '../../http/conditional-and-range.js'
import type { Representation, ResponseRules } from '../../http/image-fields.js'
import type { HttpResponse } from '../../http/response.js'
import type { Forward } from '../../images/image.js'
import type { Entry } from '../../model/entry.js'
import { tagsOf } from '../../model/tags.js'
import type { Settings } from '../../options/settings.js'

/** See the top of the file. Times in ms since the epoch. */
export interface ImageResponse {
  readonly representation: Representation
  readonly rules: Omit<ResponseRules, 'now' | 'age' | 'cacheStatus'>
  /** What it rests on: when one of these changes, it is another answer. */
  readonly entries: readonly Entry[]
  readonly forward?: Forward | undefined
  /** When upstream was asked about it, and until when it need not be; undefined for what does not age. */
  readonly checkedAt?: number
  readonly freshUntil?: number
  /** Upstream forbids anybody to keep it. */
  readonly isTransient?: boolean
  /** Until when its signature holds. */
  readonly signedUntil?: number
  /** Of a negotiated picture: what its format was chosen by, and the type that was chosen. */
  readonly negotiated?: { readonly negotiation: Negotiation; readonly type: string }
  /** Whether the next request for its URL should have it too. */
  readonly isRepeatable: boolean
  /** It is of a file of the app's own, which is looked at again once its bytes have left memory. */
  readonly isOfFile?: boolean
}

/** What is known of an answer beside its picture. */
export type AnswerFacts = Omit<ImageResponse, 'representation'>

const seconds = (ms: number): number => Math.floor(ms / 1000)

/** How long a picture may be kept in front of us, at a moment. */
function cacheAt(shown: AnswerFacts, now: number, age: number): CachePolicy {
  const { rules, entries, signedUntil, isTransient = false } = shown
  const strict = entries.find((entry) => entry.staleIfError !== undefined)
  if (isTransient) return { kind: 'none' }
  const lifetime =
    strict === undefined ? 0 : seconds(strict.clientFreshnessLifetime ?? strict.freshnessLifetime)
  const policy: CachePolicy =
    strict === undefined
      ? rules.cache
      : rules.cache.kind === 'brief'
        ? // No longer than upstream lets anybody.
          { kind: 'passed-on', maxAge: Math.min(rules.cache.maxAge, lifetime), swr: 0, sie: 0 }
        : {
            kind: 'passed-on',
            maxAge: seconds(strict.clientFreshnessLifetime ?? strict.freshnessLifetime),
            sharedMaxAge:
              strict.clientFreshnessLifetime === undefined ? undefined : seconds(strict.freshnessLifetime),
            swr: seconds(strict.staleWhileRevalidate ?? 0),
            sie: seconds(strict.staleIfError ?? 0),
          }
  return signedUntil === undefined ? policy : expireBy(policy, seconds(signedUntil - now), age)
}

/** What CDNs are answered in a field of their own: nothing, the same as shared caches, or so many seconds. */
export const cdnOf = ({ cdnCacheControl }: Settings): boolean | number =>
  typeof cdnCacheControl === 'number' ? seconds(cdnCacheControl) : cdnCacheControl

/** What of a picture's rules changes from moment to moment. */
export function passingRules(
  shown: AnswerFacts,
  settings: Settings,
  now: number,
): Pick<ResponseRules, 'age' | 'cacheStatus' | 'cache' | 'isPrivate' | 'cdn'> {
  const { forward, checkedAt, freshUntil, entries, rules, isTransient = false } = shown
  const isNew = forward?.status === 200 || forward?.collapsed === true
  const ttl = freshUntil === undefined ? undefined : seconds(freshUntil - now)
  const age = checkedAt === undefined ? 0 : Math.max(0, seconds(now - checkedAt))
  return {
    cache: cacheAt(shown, now, age),
    isPrivate: rules.isPrivate,
    cdn: cdnOf(settings),
    age: checkedAt === undefined || isTransient || (isNew && age === 0) ? undefined : age,
    cacheStatus: settings.cacheStatus ? cacheStatus(forward, entries[0]?.isStored === true, ttl) : undefined,
  }
}

/** The answer that a picture comes to. */
export function replyOf(shown: ImageResponse, asked: RequestFields, settings: Settings): HttpResponse {
  const now = settings.now()
  return respond(shown.representation, asked, { ...shown.rules, ...passingRules(shown, settings, now), now })
}

/** The `Cache-Tag` field (or its kin) of a picture, where the app wants one. */
export function tagFields(settings: Settings, entry: Entry, original?: Entry): Record<string, string> {
  const { cacheTags } = settings
  if (cacheTags === false) return {}
  const name = cacheTags === true ? 'Cache-Tag' : cacheTags
  return { [name]: tagsOf(entry, original).join(name === 'Cache-Tag' ? ',' : ' ') }
}
