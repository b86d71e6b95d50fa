/**
 * The transformer that decodes in the app's own process (`transform.isolate: false`): less memory, no child
 * to start, and a crash of libvips takes the app with it. It narrows sharp's loaders for the whole process.
 */
import { ArtworkError } from '../model/errors.js'
import { createJobQueue } from './job-queue.js'
import { hardenSharp, inspect, transform } from './pipeline.js'
import type { DecodeLimits, JobOptions, Transformer } from './transformer.js'

/** Makes a transformer that runs `concurrency` jobs at once and lets `queue` wait. */
export function createInProcess(
  limits: DecodeLimits & {
    readonly concurrency: number
    readonly queue: number
    readonly waitTimeout: number
  },
): Transformer {
  const queue = createJobQueue<{ readonly go: () => void; readonly reject: (error: ArtworkError) => void }>()
  let running = 0
  let hardened = false
  const crowded = () => new ArtworkError('unavailable', 'too many images are being made', { retryAfter: 2 })
  const wait = (about: JobOptions): Promise<void> => {
    const { signal, client = '', host = '', isBackground = false } = about
    const other = queue.size() >= limits.queue ? queue.crowdOut(client) : undefined
    if (queue.size() >= limits.queue) throw crowded()
    other?.reject(crowded())
    let stopWaiting = (): void => {}
    return new Promise<void>((go, reject) => {
      const one = { go, reject, client, host, isBackground, isHeavy: false, isAlone: false }
      const leave = (error: ArtworkError): void => {
        if (queue.remove(one)) reject(error)
      }
      const onAbort = (): void => leave(new ArtworkError('cancelled', 'nobody waits for this image any more'))
      signal?.addEventListener('abort', onAbort, { once: true })
      const timer = isBackground ? undefined : setTimeout(() => leave(crowded()), limits.waitTimeout).unref()
      stopWaiting = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      }
      queue.add(one)
    }).finally(() => stopWaiting())
  }
  const inTurn = async <T>(about: JobOptions = {}, work: () => Promise<T>): Promise<T> => {
    if (!hardened) hardenSharp(limits.formats)
    hardened = true
    // The place is handed on, so that nobody slips in between.
    if (running >= limits.concurrency) await wait(about)
    else running += 1
    try {
      return await work()
    } finally {
      const next = queue.next()
      if (next === undefined) running -= 1
      else next.go()
    }
  }
  return {
    inspect: (bytes, kind, about) => inTurn(about, () => inspect(bytes, kind, limits)),
    transform: (bytes, kind, recipe, about) => inTurn(about, () => transform(bytes, kind, recipe, limits)),
    trouble: () => undefined,
    load: () => ({ running, waiting: queue.size() }),
    close: async () => {},
  }
}
