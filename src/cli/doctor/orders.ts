/** What the child that looks into databases is asked, and what it answers. */
import type { Examined } from '../../database/examine.js'

/** A sample of what a database names: how much was looked for, and what is not there. */
export interface Sample {
  readonly looked: number
  readonly missing: readonly string[]
}

/** What is read of a sound database; what it has nothing of is left out. */
export interface Answers {
  /** When the newest of its rows was written, ms since the epoch. */
  readonly newest?: number
  readonly sample?: Sample
  /** Bytes and names that the catalogue counts. */
  readonly bytes?: number
  readonly names?: number
  readonly isPaused?: boolean
}

/** The databases of a toolkit. */
export type DatabaseName = 'catalogue' | 'uploads' | 'jobs'

/** An order, by its kind. */
export interface Orders {
  /** Says that the driver loads. */
  driver: { order: object; answer: string }
  database: {
    /** `stored`: the folder of what it names. `scratch`: an empty folder for a copy. */
    order: { name: DatabaseName; file: string; stored: string; scratch: string }
    answer: Examined<Answers>
  }
  /** Tries locks. Of each file, whether it is held. */
  locks: { order: { files: readonly string[] }; answer: readonly boolean[] }
}

/** A message to the child. */
export type Order = { [K in keyof Orders]: { kind: K } & Orders[K]['order'] }[keyof Orders]
/** A message from it. */
export type Answer = { readonly value: Orders[keyof Orders]['answer'] } | { readonly error: string }
