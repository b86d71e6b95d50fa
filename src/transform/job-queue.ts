/**
 * Who is next: jobs that somebody waits for before those that nobody does; among them the clients take turns, and of a client
 * the hosts that its pictures come from. One that has much waiting costs itself time, and not the others.
 */
import { ArtworkError } from '../model/failure.js'
import type { JobOptions } from './transformer.js'

/** What a job is told by. */
export interface QueuePosition {
  /** Who asked; '' where nobody in particular did. */
  readonly client: string
  /** Where the picture comes from. */
  readonly host: string
  /** Nobody waits for it. */
  readonly isBackground: boolean
  /** It may hold a decoder for long. */
  readonly isHeavy: boolean
  /** It is done while no other of its kind is. */
  readonly isAlone: boolean
}

/** There is no room for a job, or it waited too long. */
export const overloaded = (): ArtworkError =>
  new ArtworkError('unavailable', 'too many images are being made', { retryAfter: 2 })

/** Whoever asked for a job has gone. */
export const cancelled = (): ArtworkError =>
  new ArtworkError('cancelled', 'nobody waits for this image any more')

/**
 * Watches over a job that waits: it is given up when its asker goes, and, where somebody waits for it, after a time.
 * @param waitTimeout ms
 * @returns ends the watch
 */
export function watchWait(
  { signal, isBackground = false }: JobOptions,
  waitTimeout: number,
  giveUp: (error: ArtworkError) => void,
): () => void {
  const onAbort = (): void => giveUp(cancelled())
  const timer = isBackground ? undefined : setTimeout(() => giveUp(overloaded()), waitTimeout).unref()
  signal?.addEventListener('abort', onAbort, { once: true })
  return () => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}

/** See the top of the file. */
export type JobQueue<T> = ReturnType<typeof createJobQueue<T>>

type Hosts<T> = Map<string, (T & QueuePosition)[]>

/** Makes a queue. */
export function createJobQueue<T>() {
  const foreground = new Map<string, Hosts<T>>()
  const background = new Map<string, Hosts<T>>()
  const counts = new Map<string, number>()
  let size = 0

  const note = (client: string, by: 1 | -1): void => {
    size += by
    const count = (counts.get(client) ?? 0) + by
    if (count === 0) counts.delete(client)
    else counts.set(client, count)
  }
  const clientsOf = ({ isBackground }: QueuePosition) => (isBackground ? background : foreground)
  const takeOut = (job: T & QueuePosition): boolean => {
    const clients = clientsOf(job)
    const hosts = clients.get(job.client)
    const jobs = hosts?.get(job.host)
    const place = jobs?.indexOf(job) ?? -1
    if (hosts === undefined || jobs === undefined || place < 0) return false
    jobs.splice(place, 1)
    if (jobs.length === 0) hosts.delete(job.host)
    if (hosts.size === 0) clients.delete(job.client)
    note(job.client, -1)
    return true
  }
  /** The client and the host go to the end of their lines. */
  const turnOver = (job: T & QueuePosition): void => {
    const clients = clientsOf(job)
    const hosts = clients.get(job.client)
    if (hosts === undefined) return
    clients.delete(job.client)
    clients.set(job.client, hosts)
    const jobs = hosts.get(job.host)
    if (jobs === undefined) return
    hosts.delete(job.host)
    hosts.set(job.host, jobs)
  }
  const first = (
    clients: Map<string, Hosts<T>>,
    may: (turn: QueuePosition) => boolean,
  ): (T & QueuePosition) | undefined => {
    for (const hosts of clients.values())
      for (const jobs of hosts.values()) {
        const job = jobs.find(may)
        if (job !== undefined) return job
      }
    return undefined
  }

  return {
    /** @param isAgain it had its turn, and is the next of its host once more */
    add: (job: T & QueuePosition, isAgain = false): void => {
      const clients = clientsOf(job)
      const hosts: Hosts<T> = clients.get(job.client) ?? new Map()
      clients.set(job.client, hosts)
      const jobs = hosts.get(job.host) ?? []
      hosts.set(job.host, jobs)
      if (isAgain) jobs.unshift(job)
      else jobs.push(job)
      note(job.client, 1)
    },
    /** Takes a job out that is not wanted any more. Answers whether it was waiting. */
    remove: takeOut,
    /** Takes the next one out that may be begun now. @param may whether one may */
    next: (may: (turn: QueuePosition) => boolean = () => true): (T & QueuePosition) | undefined => {
      const job = first(foreground, may) ?? first(background, may)
      if (job === undefined) return undefined
      turnOver(job)
      takeOut(job)
      return job
    },
    /**
     * Makes room for a client: takes the last job of the client that has most waiting, where that has more than this one
     * would have.
     */
    crowdOut: (client: string): (T & QueuePosition) | undefined => {
      const [most = '', count = 0] = [...counts].sort(([, a], [, b]) => b - a)[0] ?? []
      if (count <= (counts.get(client) ?? 0) + 1) return undefined
      const last = [background, foreground]
        .flatMap((clients) => [...(clients.get(most)?.values() ?? [])].map((jobs) => jobs.at(-1)))
        .find((job) => job !== undefined)
      if (last !== undefined) takeOut(last)
      return last
    },
    /** Everything that waits, taken out. */
    drain: (): readonly (T & QueuePosition)[] => {
      const all = [foreground, background].flatMap((clients) =>
        [...clients.values()].flatMap((hosts) => [...hosts.values()].flat()),
      )
      for (const job of all) takeOut(job)
      return all
    },
    size: (): number => size,
  }
}
