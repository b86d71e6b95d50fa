/** Processes that do what their parent orders, each with a store (or what another script opens), for tests that kill them. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Orders } from '../fixtures/store.js'

const tsx = createRequire(import.meta.url).resolve('tsx')

/** What a process can be ordered to do. */
type Verbs<O> = { readonly [K in keyof O]: (...args: never[]) => Promise<unknown> }

/** One of the processes. */
export interface OrderedProcess<O extends Verbs<O>> {
  /** Gives an order. @throws Error when it fails, or the process dies over it */
  order<K extends keyof O>(verb: K, ...args: Parameters<O[K]>): Promise<Awaited<ReturnType<O[K]>>>
  /** Stops it where it stands, and lets it go on. */
  freeze(): void
  thaw(): void
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>
}

/** One with a store. */
export type StoreProcess = OrderedProcess<Orders>

function start<O extends Verbs<O>>(script: string): Promise<OrderedProcess<O>> {
  const child: ChildProcess = fork(fileURLToPath(new URL(script, import.meta.url)), [], {
    execArgv: ['--import', tsx],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  const gone = once(child, 'exit')
  let count = 0
  const died = (): void => {
    for (const { reject } of waiting.values()) reject(new Error('the process is gone'))
    waiting.clear()
  }
  void gone.then(died)
  const self: OrderedProcess<O> = {
    order: (verb, ...args) =>
      new Promise((resolve, reject) => {
        if (!child.connected) return reject(new Error('the process is gone'))
        count += 1
        waiting.set(count, { resolve, reject })
        child.send({ id: count, verb, args }, (error) => error && reject(error))
      }),
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    kill: async () => {
      child.kill('SIGKILL')
      await gone
      died()
    },
  }
  return new Promise((resolve, reject) => {
    void gone.then(() => reject(new Error('the process did not start')))
    child.on('message', (message: { id: number; result?: unknown; error?: string }) => {
      if (message.id === 0) return resolve(self)
      const order = waiting.get(message.id)
      waiting.delete(message.id)
      if (message.error === undefined) order?.resolve(message.result as never)
      else order?.reject(new Error(message.error))
    })
  })
}

/**
 * Hands out processes, and keeps some started beforehand.
 * @param script what they run, a path from this file
 */
export function createFleet<O extends Verbs<O> = Orders>(standby: number, script = '../fixtures/store.ts') {
  const ready: Promise<OrderedProcess<O>>[] = []
  const all: Promise<OrderedProcess<O>>[] = []
  let ended = false
  const begin = (): Promise<OrderedProcess<O>> => {
    const one = start<O>(script)
    one.catch(() => {})
    all.push(one)
    return one
  }
  const fill = (): void => {
    while (!ended && ready.length < standby) ready.push(begin())
  }
  fill()
  return {
    take: async (): Promise<OrderedProcess<O>> => {
      fill()
      const one = ready.shift() ?? begin()
      fill()
      return one
    },
    end: async (): Promise<void> => {
      ended = true
      await Promise.allSettled(all.map(async (one) => (await one).kill()))
    },
  }
}
