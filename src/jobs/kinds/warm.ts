/** Makes variants before they are requested. */
import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import * as z from 'zod'
import { asArtworkError } from '../../model/failure.js'
import { isWebUrl } from '../../model/web-url.js'
import { fieldsOf, type JobDefinition, type JobParts, textsOf } from './definition.js'

const MAX_ERRORS = 100
const YIELD_EVERY = 50

const options = z.strictObject({
  addresses: z
    .array(z.string())
    .min(1)
    .max(100_000)
    .describe('Addresses; without their variant, where variants are named.'),
  variants: z.array(z.string()).max(100).optional(),
})

interface Target {
  /** As the payload named it. */
  readonly name: string
  /** @throws ArtworkError for a URL that no source takes */
  address(): string
}

/** Every address with every variant; where none is named, the addresses as they are. Source URLs are addresses too. */
function* targetsOf(
  addresses: readonly string[],
  variants: readonly string[],
  resolveUrl: (url: string) => string,
): Generator<Target> {
  for (const given of addresses) {
    const isUrl = isWebUrl(given)
    if (variants.length === 0) yield { name: given, address: () => (isUrl ? resolveUrl(given) : given) }
    for (const variant of variants) {
      const address = (): string => {
        const [kind = '', ...rest] = (isUrl ? resolveUrl(given) : given).split('/')
        // The address of a URL has a variant, which this one replaces.
        return `${kind}/${variant}/${(isUrl ? rest.slice(1) : rest).join('/')}`
      }
      yield { name: isUrl ? `${variant} of ${given}` : address(), address }
    }
  }
}

export const warm = {
  summary: 'Make variants before anybody asks',
  options,
  body: options,
  async run({ images }: Pick<JobParts, 'images'>, job, { signal, progress }) {
    const payload = fieldsOf(job.payload)
    const addresses = textsOf(payload.addresses) ?? []
    const variants = textsOf(payload.variants) ?? []
    const total = addresses.length * Math.max(1, variants.length)
    const count = { made: 0, failed: 0 }
    const errors: Record<string, string> = {}
    const resolveUrl = (url: string): string => images.resolver.resolveUrl(url).text
    for (const { name, address } of targetsOf(addresses, variants, resolveUrl)) {
      if (signal.aborted) return { state: 'cancelled' }
      try {
        await images.getImage(address(), { signal, isBackground: true })
        count.made += 1
      } catch (error) {
        count.failed += 1
        if (Object.keys(errors).length < MAX_ERRORS) errors[name] = asArtworkError(error).reason
      }
      progress(count.made + count.failed, total)
      if ((count.made + count.failed) % YIELD_EVERY === 0) await yieldToEventLoop()
    }
    const result = { ...count, errors }
    return count.made === 0 && count.failed > 0
      ? { state: 'failed', error: 'nothing could be made', result }
      : { state: 'done', result }
  },
} satisfies JobDefinition
