/** The first look at an original's bytes: what they are, and what is made of them in the same job. */
import { createSerial } from '../concurrency.js'
import {
  asArtworkError,
  type ErrorCode,
  type Failure,
  failureError,
  isFailureActive,
  isOfBytes,
  recordFailure,
} from '../model/failure.js'
import type { Kind } from '../model/media-type.js'
import { createRecent } from '../model/recent.js'
import { completeRecipe, type Recipe } from '../model/variant.js'
import { hostOf } from '../model/web-url.js'
import type { Settings } from '../options/settings.js'
import type { Inspected, Transformer } from '../transform/transformer.js'
import type { FirstMade } from './image.js'

/** What it works with. */
export interface FirstLookParts {
  readonly settings: Pick<Settings, 'now' | 'transform'>
  readonly transformer: Pick<Transformer, 'inspect' | 'look'>
}

/** Whose bytes they are, and what is wanted of them. */
export interface LookOptions {
  readonly url: string | undefined
  readonly signal: AbortSignal
  readonly client?: string | undefined
  readonly recipe?: Recipe | undefined
  /** Look although a recorded failure is active. */
  readonly isForced: boolean
}

/** What it came to. */
export interface Looked {
  readonly inspected: Inspected
  readonly made?: FirstMade | undefined
}

/** See the top of the file. @throws ArtworkError */
export type FirstLook = (digest: string, bytes: Buffer, kind: Kind, asked: LookOptions) => Promise<Looked>

/** Contents whose inspection is remembered. */
const MAX_INSPECTED = 2000

/** Failures that end a whole job, whatever part of it they come from. */
const ENDS_DECODER: ReadonlySet<ErrorCode> = new Set(['decode_timeout', 'processing', 'too_large'])

/**
 * What bytes are, inspected once whatever URLs they come under: the same ones by many keys cost no more than one. A failure
 * that follows from the bytes holds for as long as it would be recorded.
 */
export function createFirstLook({ settings, transformer }: FirstLookParts): FirstLook {
  const known = createRecent<Inspected | Failure>(MAX_INSPECTED)
  const serial = createSerial()
  /** An AVIF takes so long that the facts of its original do not wait for it. */
  const lookAt = async (digest: string, bytes: Buffer, kind: Kind, asked: LookOptions): Promise<Looked> => {
    const { signal, client, url, recipe: wanted } = asked
    const about = { signal, client, host: url === undefined ? undefined : hostOf(url), digest }
    const recipe = wanted && kind !== 'svg' ? completeRecipe(wanted, kind, settings.transform) : undefined
    if (recipe === undefined || recipe.format === 'avif')
      return { inspected: await transformer.inspect(bytes, kind, about) }
    try {
      const { inspected, made: result } = await transformer.look(bytes, kind, recipe, about)
      return { inspected, made: result && { recipe, result } }
    } catch (error) {
      const result = asArtworkError(error)
      if (!ENDS_DECODER.has(result.code)) throw error
      // What has ended the decoder may have been the rendition: the original is judged by itself.
      const inspected = await transformer.inspect(bytes, kind, about)
      return { inspected, made: { recipe, result } }
    }
  }
  return (digest, bytes, kind, asked) =>
    serial.run(digest, async () => {
      const before = known.get(digest)
      if (before !== undefined && 'traits' in before) return { inspected: before }
      if (!asked.isForced && before !== undefined && isFailureActive(before, settings.now()))
        throw failureError(before, settings.now())
      try {
        const found = await lookAt(digest, bytes, kind, asked)
        known.set(digest, found.inspected)
        return found
      } catch (error) {
        const thrown = asArtworkError(error)
        const failure = recordFailure(thrown, before, settings.now())
        if (failure !== undefined && isOfBytes(thrown)) known.set(digest, failure)
        throw error
      }
    })
}
