/** A line: so many pieces of work at once, the others wait their turn, and who finds the line too long is told so. */
import { ArtworkError } from '../model/failure.js'

/** See the top of the file. */
export interface Line {
  /** @throws ArtworkError `unavailable` (503) when the line is too long, and what the work throws */
  run<T>(work: () => Promise<T>): Promise<T>
}

/** Makes a line of `places`, where at most `most` wait. */
export function createLine(places: number, most: number): Line {
  const waiting: (() => void)[] = []
  let running = 0
  return {
    run: async (work) => {
      if (running >= places) {
        if (waiting.length >= most)
          throw new ArtworkError('unavailable', 'too many images are being handled', { retryAfter: 2 })
        await new Promise<void>((resolve) => waiting.push(resolve))
      } else running += 1
      try {
        return await work()
      } finally {
        // The place is handed on, so that nobody slips in between.
        const next = waiting.shift()
        if (next === undefined) running -= 1
        else next()
      }
    },
  }
}
