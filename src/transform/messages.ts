/** The messages between the pool and its children. */

/** A job for a child. */
export interface JobMessage {
  readonly id: number
  readonly job: 'inspect' | 'transform'
  readonly args: readonly unknown[]
}

/** An answer as it is sent between processes: an error as its code and its safe text. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: string; readonly message: string }

/** The exit code of a child that had grown over its bound in the middle of a job. */
export const GROWN = 86
