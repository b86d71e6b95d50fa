/**
 * The transformer that decodes in the app's own process (`transform.isolate: false`): less memory, no child
 * to start, and a crash of libvips takes the app with it. It narrows sharp's loaders for the whole process.
 */
import { ArtworkError } from '../model/errors.js'
import { hardenSharp, inspect, transform } from './pipeline.js'
import type { DecodeLimits, Transformer } from './transformer.js'

/** Makes a transformer that runs `concurrency` jobs at once and lets `queue` wait. */
export function createInProcess(
  limits: DecodeLimits & { readonly concurrency: number; readonly queue: number },
): Transformer {
  const waiting: (() => void)[] = []
  let running = 0
  let hardened = false
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    if (!hardened) hardenSharp(limits.formats)
    hardened = true
    if (running >= limits.concurrency) {
      if (waiting.length >= limits.queue)
        throw new ArtworkError('unavailable', 'too many images are being made', { retryAfter: 2 })
      await new Promise<void>((resolve) => waiting.push(resolve))
    }
    running += 1
    try {
      return await work()
    } finally {
      running -= 1
      waiting.shift()?.()
    }
  }
  return {
    inspect: (bytes, kind) => inTurn(() => inspect(bytes, kind, limits)),
    transform: (bytes, kind, recipe) => inTurn(() => transform(bytes, kind, recipe, limits)),
    trouble: () => undefined,
    load: () => ({ running, waiting: waiting.length }),
    close: async () => {},
  }
}
