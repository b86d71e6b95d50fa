/** The child process that decodes: nothing of the app is in it. Started by worker-pool, never imported. */
import { setPriority } from 'node:os'
import { ArtworkError, asArtworkError } from '../model/failure.js'
import type { Kind } from '../model/media-type.js'
import type { FullRecipe } from '../model/variant.js'
import { type Answer, GROWN, type JobMessage, type LookedAnswer } from './messages.js'
import { hardenSharp, inspect, look, transform } from './sharp.js'
import type { DecodeLimits } from './transformer.js'

const LOW_PRIORITY = 10
/** How often memory is checked, ms. */
const CHECK_EVERY = 50
/** A child that uses this share of its bound after a job is replaced. */
const FULL_SHARE = 0.6

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const failed = ({ code, message }: ArtworkError): Answer<never> => ({ ok: false, code, message })

const jobs = {
  inspect: (bytes: Uint8Array, kind: Kind, limits: DecodeLimits) => inspect(bufferOf(bytes), kind, limits),
  transform: (bytes: Uint8Array, kind: Kind, recipe: FullRecipe, limits: DecodeLimits) =>
    transform(bufferOf(bytes), kind, recipe, limits),
  look: async (
    bytes: Uint8Array,
    kind: Kind,
    recipe: FullRecipe,
    limits: DecodeLimits,
  ): Promise<LookedAnswer> => {
    const { inspected, made } = await look(bufferOf(bytes), kind, recipe, limits)
    return { inspected, made: made instanceof ArtworkError ? failed(made) : { ok: true, value: made } }
  },
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
  const answer = async ({ job, args }: JobMessage): Promise<Answer<unknown>> => {
    const limits = args.at(-1) as DecodeLimits
    if (!hardened) hardenSharp(limits.formats)
    hardened = true
    const run: (...given: never[]) => Promise<unknown> = jobs[job]
    try {
      return { ok: true, value: await run(...(args as never[])) }
    } catch (error) {
      return failed(asArtworkError(error))
    }
  }
  process.on('message', async (order: JobMessage) => {
    watch = setInterval(() => {
      if (memory() > maxMemory) process.exit(GROWN)
    }, CHECK_EVERY)
    const answered = await answer(order)
    clearInterval(watch)
    process.send?.({ ...answered, id: order.id, isFull: memory() > maxMemory * FULL_SHARE })
  })
  process.on('disconnect', () => process.exit())
  process.send?.('ready')
}

serve(Number(process.argv[2]))
