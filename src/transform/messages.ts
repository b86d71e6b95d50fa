/** The messages between the pool and its children. */
import type { Inspected, Made } from './transformer.js'

/** A job for a child. The bytes of the image come beside it, by {@link INPUT_PIPE}. */
export interface JobMessage {
  readonly id: number
  readonly job: 'inspect' | 'transform' | 'look'
  /** How many bytes the image has. */
  readonly size: number
  /** What follows the bytes: the kind, the recipe where there is one, the limits. */
  readonly args: readonly unknown[]
  /** What the pixels that are encoded follow from; undefined where they are not shared. */
  readonly pixels?: string | undefined
  /** Whether the next job may be of the same pixels. */
  readonly isKept?: boolean
}

/**
 * The descriptor by which a child reads images, after its message: as they are, without a copy on either side. Where it
 * runs under the permission model, this is all that it is given beside its own files.
 */
export const INPUT_PIPE = 4

/** An answer as it is sent between processes: an error as its code and its safe text. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: string; readonly message: string }

/** What a look comes to, as it is sent. */
export interface LookedAnswer {
  readonly inspected: Inspected
  readonly made: Answer<Made> | undefined
}

/** The exit code of a child that had grown over its bound in the middle of a job. */
export const GROWN = 86
