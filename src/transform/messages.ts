/** The messages between the pool and its children. */
import type { Inspected, Made } from './transformer.js'

/** A job for a child. */
export interface JobMessage {
  readonly id: number
  readonly job: 'inspect' | 'transform' | 'look'
  readonly args: readonly unknown[]
}

/** An answer as it is sent between processes: an error as its code and its safe text. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: string; readonly message: string }

/** What a look comes to, as it is sent. */
export interface LookedAnswer {
  readonly inspected: Inspected
  readonly made: Answer<Made>
}

/** The exit code of a child that had grown over its bound in the middle of a job. */
export const GROWN = 86
