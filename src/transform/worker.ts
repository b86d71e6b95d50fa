/** The child process that decodes: nothing of the app is in it. Started by worker-pool, never imported. */
import { fstatSync, readSync } from 'node:fs'
import { setPriority } from 'node:os'
import { ArtworkError, asArtworkError } from '../model/failure.js'
import type { Kind } from '../model/media-type.js'
import type { FullRecipe } from '../model/variant.js'
import { type Answer, GROWN, INPUT_PIPE, type JobMessage, type LookedAnswer } from './messages.js'
import { createSharedPixels, type SharedPixels } from './shared-pixels.js'
import { hardenSharp, inspect, look, transform } from './sharp.js'
import type { DecodeLimits } from './transformer.js'

const LOW_PRIORITY = 10
/** How often memory is checked, ms. */
const CHECK_EVERY = 50
/** A child that uses this share of its bound after a job is replaced. */
const FULL_SHARE = 0.6

const failed = ({ code, message }: ArtworkError): Answer<never> => ({ ok: false, code, message })

const jobs = {
  inspect,
  transform,
  look: async (
    bytes: Buffer,
    kind: Kind,
    recipe: FullRecipe,
    limits: DecodeLimits,
    shared: SharedPixels,
  ): Promise<LookedAnswer> => {
    const { inspected, made } = await look(bytes, kind, recipe, limits, shared)
    if (made === undefined) return { inspected, made }
    return { inspected, made: made instanceof ArtworkError ? failed(made) : { ok: true, value: made } }
  },
}

/** Bytes of the buffer that is used for one image after the other. */
const USUAL_SIZE = 1024 ** 2

/**
 * Reads images from the pipe, each after its message. An answer is sent before the next image is read, so that nothing of an
 * earlier one is needed then.
 */
function createInput(): (size: number) => Buffer {
  const usual = Buffer.allocUnsafeSlow(USUAL_SIZE)
  return (size) => {
    const bytes = size <= USUAL_SIZE ? usual.subarray(0, size) : Buffer.allocUnsafeSlow(size)
    for (let at = 0; at < size; ) {
      const read = readSync(INPUT_PIPE, bytes, at, size - at, null)
      // Its parent has ended.
      if (read === 0) process.exit()
      at += read
    }
    return bytes
  }
}

/** Serves its parent until that has ended. */
function serve(maxMemory: number): void {
  try {
    setPriority(LOW_PRIORITY)
  } catch {
    // Optional: not every system allows it.
  }
  const memory = (): number => process.memoryUsage.rss()
  let hardened = false
  let watch: NodeJS.Timeout | undefined
  const sharedPixels = createSharedPixels()
  const answer = async (
    { job, args, pixels, isKept = false }: JobMessage,
    bytes: Buffer,
  ): Promise<Answer<unknown>> => {
    const shared = sharedPixels(pixels, isKept)
    const limits = args.at(-1) as DecodeLimits
    if (!hardened) hardenSharp(limits.formats)
    hardened = true
    const run: (...given: never[]) => Promise<unknown> = jobs[job]
    try {
      return { ok: true, value: await run(...([bytes, ...args, shared] as never[])) }
    } catch (error) {
      return failed(asArtworkError(error))
    }
  }
  const readInput = createInput()
  process.on('message', async (order: JobMessage) => {
    watch = setInterval(() => {
      if (memory() > maxMemory) process.exit(GROWN)
    }, CHECK_EVERY)
    const answered = await answer(order, readInput(order.size))
    clearInterval(watch)
    process.send?.({ ...answered, id: order.id, isFull: memory() > maxMemory * FULL_SHARE })
  })
  process.on('disconnect', () => process.exit())
  // A sandbox that does not pass it on is found at the start.
  fstatSync(INPUT_PIPE)
  process.send?.('ready')
}

serve(Number(process.argv[2]))
