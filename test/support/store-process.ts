/**
 * A process of its own with a store open in it, ordered about over IPC (see {@link ./store-fleet}), so that tests
 * can have several on one directory and kill them at any moment. Contents say themselves whose they are.
 */

import { openSync, writeSync } from 'node:fs'
import { createDiskStore } from '#src/store/disk/store.js'
import type { NewEntry, Store } from '#src/store/ports.js'
import { obey } from './obey.js'
import { bytesOf, contentIn } from './store-contents.js'

/** How to open the store. */
export interface Opening {
  readonly directory: string
  readonly maxBytes: number
  readonly maxNames: number
}
/** A mixed load: writes of new and known names, replacements, removals, reads; evictions come by themselves. */
export interface Load {
  readonly seed: number
  /** Names that it changes; those that begin with `r/` are renditions of those that begin with `o/`. */
  readonly names: readonly string[]
  readonly concurrency: number
  readonly operations: number
  /** Contents are up to this size, bytes. */
  readonly maxSize: number
  /** Where each operation is noted before it begins and after it ended; lines survive the process. */
  readonly log?: string
}
/** What a load came to. */
export interface LoadReport {
  readonly done: number
  readonly held: number
  readonly errors: readonly string[]
}
/** What the process does for its parent. */
export interface Orders {
  open(opening: Opening): Promise<void>
  write(name: string, content: string, size: number): Promise<void>
  /** The content that the name has, undefined for a miss. */
  read(name: string): Promise<string | undefined>
  readAll(names: readonly string[]): Promise<(string | null)[]>
  remove(name: string): Promise<boolean>
  clear(): Promise<void>
  settled(): Promise<void>
  verify(): ReturnType<Store['verify']>
  stats(): Promise<ReturnType<Store['stats']>>
  load(load: Load): Promise<LoadReport>
  close(): Promise<void>
}

let opened: Store | undefined
const problems: string[] = []
const store = (): Store => {
  if (opened === undefined) throw new Error('no store is open')
  return opened
}
const entry = (name: string): NewEntry => ({
  key: name,
  role: name.startsWith('r/') ? 'rendition' : 'original',
  ...(name.startsWith('r/') ? { original: name.replace('r/', 'o/'), madeFrom: '0'.repeat(64) } : {}),
  type: 'image/png',
  width: 1,
  height: 1,
  storedAt: Date.now(),
  validatedAt: Date.now(),
  freshnessLifetime: 1000,
})
const read = async (name: string): Promise<string | undefined> => {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const found = await store().lookup(name)
    if (found === undefined || !found.isStored) return undefined
    const held = await store().read(found)
    if (held !== undefined) return contentIn(held.bytes)
    // Replaced or removed between the two: what is there now counts.
    if (store().find(name)?.digest === found.digest) return undefined
  }
  throw new Error(`${name}: replaced whenever it was read`)
}
/** A small generator of repeatable numbers (mulberry32). */
const numbers = (seed: number) => {
  let state = seed >>> 0
  return (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

async function load({ seed, names, concurrency, operations, maxSize, log }: Load): Promise<LoadReport> {
  const next = numbers(seed)
  const errors: string[] = []
  const file = log === undefined ? undefined : openSync(log, 'a')
  const note = (line: string): void => void (file !== undefined && writeSync(file, `${line}\n`))
  const busy = new Set<string>()
  let started = 0
  let done = 0
  let held = 0
  const work = async (): Promise<void> => {
    while (started < operations) {
      started += 1
      const id = started
      const name = names[next(names.length)] ?? ''
      if (busy.has(name)) continue
      busy.add(name)
      const dice = next(100)
      try {
        if (dice < 45) {
          const content = next(5) === 0 ? `shared ${next(20)}` : `${name} ${seed}.${id}`
          note(`${id} write ${name} ${content}`)
          await store().write(entry(name), bytesOf(content, maxSize))
        } else if (dice < 65) {
          note(`${id} remove ${name}`)
          await store().delete(name)
        } else {
          const content = await read(name)
          if (content !== undefined) held += 1
          if (content !== undefined && !content.startsWith('shared ') && !content.startsWith(`${name} `))
            errors.push(`${name} answered ${content}`)
          store().touch(name)
        }
        note(`${id} done ${name}`)
        done += 1
      } catch (error) {
        errors.push(`${name}: ${error instanceof Error ? `${error.message} (${error.cause})` : error}`)
      } finally {
        busy.delete(name)
      }
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  return { done, held, errors: [...errors, ...problems].slice(0, 10) }
}

const orders: Orders = {
  open: async (opening) => {
    const trouble = (fields: object, message: string) =>
      void problems.push(`${message} ${'err' in fields ? fields.err : ''}`)
    const logger = { debug: () => {}, info: () => {}, warn: trouble, error: trouble }
    opened = await createDiskStore({ ...opening, now: Date.now, logger })
  },
  write: async (name, content, size) => void (await store().write(entry(name), bytesOf(content, size))),
  read,
  readAll: async (names) => {
    const answers: (string | null)[] = []
    for (const name of names) answers.push((await read(name)) ?? null)
    return answers
  },
  remove: (name) => store().delete(name),
  clear: () => store().clear(),
  settled: () => store().ready(),
  verify: () => store().verify({ bytesPerSecond: 1e9 }),
  stats: async () => store().stats(),
  load,
  close: async () => {
    await opened?.close()
    opened = undefined
  },
}

obey<Orders>(orders)
