/**
 * The order of decode jobs: foreground before background; within each, clients take turns, and of a client the hosts that
 * its pictures come from. A client with many jobs delays its own, and not the others'.
 */
import { ArtworkError } from '../model/failure.js'
import type { JobOptions } from './transformer.js'

/** What the order follows from. */
export interface QueuePosition {
  /** '' for none in particular. */
  readonly client: string
  /** Where the picture comes from. */
  readonly host: string
  /** No request waits for it. */
  readonly isBackground: boolean
  /** It may occupy a decoder for long. */
  readonly isHeavy: boolean
  /** At most one such job runs at a time. */
  readonly isAlone: boolean
}

/** There is no room for a job, or it waited too long. */
const overloaded = (): ArtworkError =>
  new ArtworkError('unavailable', 'too many images are being made', { retryAfter: 2 })

/** The request for a job was aborted. */
export const cancelled = (): ArtworkError =>
  new ArtworkError('cancelled', 'nobody waits for this image any more')

/**
 * Cancels a waiting job when its signal is aborted, and, in the foreground, after a time.
 * @param waitTimeout ms
 * @returns stops watching
 */
export function watchWait(
  { signal, isBackground = false }: JobOptions,
  waitTimeout: number,
  cancel: (error: ArtworkError) => void,
): () => void {
  const onAbort = (): void => cancel(cancelled())
  const timer = isBackground ? undefined : setTimeout(() => cancel(overloaded()), waitTimeout).unref()
  signal?.addEventListener('abort', onAbort, { once: true })
  return () => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}

/** Makes room in a full queue for a job of a client. @throws ArtworkError `unavailable` where there is none */
export function makeRoom<T extends { readonly reject: (error: ArtworkError) => void }>(
  queue: Pick<FairQueue<T>, 'crowdOut'>,
  client: string,
): void {
  const other = queue.crowdOut(client)
  if (other === undefined) throw overloaded()
  other.reject(overloaded())
}

/** See the top of the file. */
export type FairQueue<T> = ReturnType<typeof createFairQueue<T>>

type Hosts<T> = Map<string, (T & QueuePosition)[]>

/** Makes a queue. */
export function createFairQueue<T>() {
  const foreground = new Map<string, Hosts<T>>()
  const background = new Map<string, Hosts<T>>()
  const counts = new Map<string, number>()
  let size = 0

  const count = (client: string, by: 1 | -1): void => {
    size += by
    const waiting = (counts.get(client) ?? 0) + by
    if (waiting === 0) counts.delete(client)
    else counts.set(client, waiting)
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
    count(job.client, -1)
    return true
  }
  /** Moves the client and the host to the end of their queues. */
  const rotate = (job: T & QueuePosition): void => {
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
    costOf: (job: T) => number,
  ): (T & QueuePosition) | undefined => {
    for (const hosts of clients.values())
      for (const jobs of hosts.values()) {
        const [job, ...others] = jobs.filter(may)
        if (job !== undefined)
          return others.reduce((best, other) => (costOf(other) < costOf(best) ? other : best), job)
      }
    return undefined
  }

  return {
    /** @param isAgain it was taken before, and becomes the first of its host again */
    add: (job: T & QueuePosition, isAgain = false): void => {
      const clients = clientsOf(job)
      const hosts: Hosts<T> = clients.get(job.client) ?? new Map()
      clients.set(job.client, hosts)
      const jobs = hosts.get(job.host) ?? []
      hosts.set(job.host, jobs)
      if (isAgain) jobs.unshift(job)
      else jobs.push(job)
      count(job.client, 1)
    },
    /** Removes a job. Answers whether it was waiting. */
    remove: takeOut,
    /**
     * Takes the next job that may begin now.
     * @param costOf orders the jobs of one client and host: the first of the cheapest is taken
     */
    next: (
      may: (turn: QueuePosition) => boolean = () => true,
      costOf: (job: T) => number = () => 0,
    ): (T & QueuePosition) | undefined => {
      const job = first(foreground, may, costOf) ?? first(background, may, costOf)
      if (job === undefined) return undefined
      rotate(job)
      takeOut(job)
      return job
    },
    /**
     * Makes room for a client: takes the last job of the client that has most waiting, where that has more than this one
     * would have.
     */
    crowdOut: (client: string): (T & QueuePosition) | undefined => {
      const [most = '', waiting = 0] = [...counts].sort(([, a], [, b]) => b - a)[0] ?? []
      if (waiting <= (counts.get(client) ?? 0) + 1) return undefined
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
    /** Whether one of those that wait is so. */
    some: (is: (job: T) => boolean): boolean =>
      [foreground, background].some((clients) =>
        [...clients.values()].some((hosts) => [...hosts.values()].some((jobs) => jobs.some(is))),
      ),
    size: (): number => size,
  }
}
