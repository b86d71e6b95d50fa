/**
 * The transformer that decodes in the app's own process (`transform.isolate: false`): less memory, no child
 * to start, and a crash of libvips takes the app with it. It narrows sharp's loaders for the whole process.
 */
import type { ArtworkError } from '../model/failure.js'
import { createFairQueue, makeRoom, watchWait } from './fair-queue.js'
import { hardenSharp, inspect, look, transform } from './sharp.js'
import type { DecodeLimits, JobOptions, Transformer } from './transformer.js'

/** Makes a transformer that runs `concurrency` jobs at once and lets `queue` wait. */
export function createInProcess(
  limits: DecodeLimits & {
    readonly concurrency: number
    readonly queue: number
    readonly waitTimeout: number
  },
): Transformer {
  const queue = createFairQueue<{ readonly go: () => void; readonly reject: (error: ArtworkError) => void }>()
  let running = 0
  let hardened = false
  const wait = (about: JobOptions): Promise<void> => {
    const { client = '', host = '', isBackground = false } = about
    if (queue.size() >= limits.queue) makeRoom(queue, client)
    let stopWatching = (): void => {}
    return new Promise<void>((go, reject) => {
      const one = { go, reject, client, host, isBackground, isHeavy: false, isAlone: false }
      stopWatching = watchWait(about, limits.waitTimeout, (error) => {
        if (queue.remove(one)) reject(error)
      })
      queue.add(one)
    }).finally(() => stopWatching())
  }
  const inTurn = async <T>(about: JobOptions = {}, work: () => Promise<T>): Promise<T> => {
    if (!hardened) hardenSharp(limits.formats)
    hardened = true
    // A free place is handed to the next waiting job, so that no new one can take it.
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
    look: (bytes, kind, recipe, about) => inTurn(about, () => look(bytes, kind, recipe, limits)),
    trouble: () => undefined,
    load: () => ({ running, waiting: queue.size() }),
    close: async () => {},
  }
}
