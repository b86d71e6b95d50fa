/** The child process that decodes: nothing of the app is in it. Started by worker-pool, never imported. */
import { setPriority } from 'node:os'
import workerpool from 'workerpool'
import { asArtworkError } from '../model/errors.js'
import type { Kind } from '../model/media-type.js'
import type { Recipe } from '../model/variant.js'
import { hardenSharp, inspect, transform } from './pipeline.js'
import type { DecodeLimits } from './transformer.js'

/** An answer that survives the way between processes: an error as its code and its safe text. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: string; readonly message: string }

async function answer<T>(work: Promise<T>): Promise<Answer<T>> {
  try {
    return { ok: true, value: await work }
  } catch (error) {
    const { code, message } = asArtworkError(error)
    return { ok: false, code, message }
  }
}

const LOW_PRIORITY = 10
let hardened = false

function prepare(limits: DecodeLimits): void {
  if (hardened) return
  hardenSharp(limits.formats)
  hardened = true
}

try {
  setPriority(LOW_PRIORITY)
} catch {
  // A system that does not let us be nice is no reason not to work.
}

const jobs = {
  inspect: (bytes: Uint8Array, kind: Kind, limits: DecodeLimits) => {
    prepare(limits)
    return answer(inspect(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), kind, limits))
  },
  transform: (bytes: Uint8Array, kind: Kind, recipe: Recipe, limits: DecodeLimits) => {
    prepare(limits)
    return answer(
      transform(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), kind, recipe, limits),
    )
  },
}

/** The jobs of the worker, for the types of its caller. */
export type Jobs = typeof jobs

workerpool.worker(jobs)
