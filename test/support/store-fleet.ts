/** Processes with a store in each, for tests that kill them. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Orders } from './store-process.js'

const file = fileURLToPath(new URL('./store-process.ts', import.meta.url))
const tsx = createRequire(import.meta.url).resolve('tsx')

/** One of the processes. */
export interface StoreProcess {
  /** Gives an order. @throws Error when it fails, or the process dies over it */
  order<K extends keyof Orders>(
    verb: K,
    ...args: Parameters<Orders[K]>
  ): Promise<Awaited<ReturnType<Orders[K]>>>
  /** Stops it where it stands, and lets it go on. */
  freeze(): void
  thaw(): void
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>
}

function start(): Promise<StoreProcess> {
  const child: ChildProcess = fork(file, [], {
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
  const self: StoreProcess = {
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

/** Hands out processes, and keeps some started beforehand. */
export function createFleet(standby: number) {
  const ready: Promise<StoreProcess>[] = []
  const all: Promise<StoreProcess>[] = []
  let ended = false
  const begin = (): Promise<StoreProcess> => {
    const one = start()
    one.catch(() => {})
    all.push(one)
    return one
  }
  const fill = (): void => {
    while (!ended && ready.length < standby) ready.push(begin())
  }
  fill()
  return {
    take: async (): Promise<StoreProcess> => {
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
