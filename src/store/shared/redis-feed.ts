/**
 * The feed of changes as a stream of Redis. A node reads from where it stopped, also after a restart. A server that was replaced by
 * an empty one is told by the name of its stream: then each node says once more what it said lately.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis as Client } from 'ioredis'
import type { ClusterChange, Coordinator, CoordinatorListener } from '../../model/coordinator.js'

/** How many changes a node may lag behind. */
const MAX_CHANGES = 100_000
/** How many of its own a node has ready to say once more, and how long, ms. */
const MAX_RECENT = 10_000
const RECENT_FOR = 60_000
const READ_AT_ONCE = 1000
/** Keys that are kept beyond this process; beyond that, all are meant. */
const MAX_UNSENT = 2000
const CLEARED = 'all'
const RETRIED_AFTER = 500
const BLOCKED_FOR = 2000
const PAUSE = 200
/** Longer than that after it should have come, an answer is not waited for, ms. */
const PATIENCE = 2000
const FIRST = '0-0'

/** See the top of the file. */
export interface Feed extends Pick<Coordinator, 'publish' | 'published'> {
  /** Finds out from where to read, before anything is stored. */
  begin(): Promise<void>
  /** Reads from now on. */
  start(): void
  close(): Promise<void>
}

interface Outgoing {
  readonly change: ClusterChange
  readonly at: number
  isSent: boolean
}

/** What is known of how far this node has heard: of which stream, and up to which entry. */
interface Position {
  readonly stream: string
  readonly id: string
}

const readPosition = (text: string | undefined): Position | undefined => {
  const [stream, id] = text?.split(' ') ?? []
  return stream !== undefined && id !== undefined ? { stream, id } : undefined
}

/** Whether an id of a stream comes before another. */
function isBefore(one: string, other: string): boolean {
  const [at = 0, sequence = 0] = one.split('-').map(Number)
  const [otherAt = 0, otherSequence = 0] = other.split('-').map(Number)
  return at < otherAt || (at === otherAt && sequence < otherSequence)
}

/** What this node tells the others: sent in its order, once the connection stands, and kept for a while. */
function createOutgoing(client: Client, stream: string, node: string, listener: CoordinatorListener) {
  let recent: Outgoing[] = readUnsent(listener.unsent())
  let sending: Promise<void> | undefined
  let later: NodeJS.Timeout | undefined
  let isKept = recent.length > 0
  const unsent = (): readonly Outgoing[] => recent.filter(({ isSent }) => !isSent)
  /** What others have to hear is kept beyond this process while it cannot be sent. */
  const keep = (): void => {
    const changes = unsent().map(({ change }) => change)
    const lasting = changes.filter(({ what }) => what === 'dropped' || what === 'cleared')
    const keys = new Set(lasting.flatMap((change) => change.keys))
    const isTooMuch = keys.size > MAX_UNSENT || lasting.some(({ what }) => what === 'cleared')
    const text = isTooMuch ? CLEARED : JSON.stringify([...keys])
    listener.saveUnsent(lasting.length === 0 ? '' : text)
    isKept = lasting.length > 0
  }
  const send = async (): Promise<void> => {
    for (let next = recent.find(({ isSent }) => !isSent); next !== undefined; ) {
      const { change } = next
      const text = JSON.stringify(change)
      await client.xadd(stream, 'MAXLEN', '~', MAX_CHANGES, '*', 'node', node, 'change', text)
      next.isSent = true
      next = recent.find(({ isSent }) => !isSent)
    }
    if (isKept) keep()
  }
  const flush = (): void => {
    clearTimeout(later)
    sending ??= send()
      .catch(() => {
        // A server that did not answer in time may have its connection still: no event says when to try again.
        keep()
        later = setTimeout(flush, RETRIED_AFTER).unref()
      })
      .finally(() => {
        sending = undefined
      })
  }
  client.on('ready', flush)
  const bound = (now: number): void => {
    const isOld = ({ at, isSent }: Outgoing): boolean => isSent && now - at > RECENT_FOR
    if (recent.length <= MAX_RECENT && !recent.some(isOld)) return
    recent = recent.filter((one) => !isOld(one))
    if (recent.length <= MAX_RECENT) return
    // Too much was not sent: all of it comes down to one change.
    recent = [{ change: { what: 'cleared', keys: [] }, at: now, isSent: false }]
  }
  return {
    publish: (change: ClusterChange): void => {
      const now = performance.now()
      recent.push({ change, at: now, isSent: false })
      bound(now)
      flush()
    },
    /** Sends all that was sent lately once more. */
    sendAgain: (): void => {
      for (const one of recent) one.isSent = false
      flush()
    },
    /** Resolves when what was published has been sent, or cannot be now. */
    sent: async (): Promise<void> => {
      await sending
      clearTimeout(later)
      if (unsent().length > 0) keep()
    },
  }
}

/** What an earlier process could not send. */
function readUnsent(text: string): Outgoing[] {
  if (text === '') return []
  const change: ClusterChange =
    text === CLEARED ? { what: 'cleared', keys: [] } : { what: 'dropped', keys: JSON.parse(text) }
  return [{ change, at: performance.now(), isSent: false }]
}

/** Makes the feed. @param reader a connection of its own, which waits */
export function createFeed(
  client: Client,
  reader: Client,
  prefix: string,
  node: string,
  listener: CoordinatorListener,
): Feed {
  const stream = `${prefix}changes`
  const nameKey = `${prefix}changes-name`
  const outgoing = createOutgoing(client, stream, node, listener)
  let isClosed = false
  /** What is read next happened while this node was away. */
  let isLate = false
  let reading: Promise<void> | undefined
  let position = readPosition(listener.position())
  /** When the stream was last read to its end, by a clock that does not jump. */
  let heardAt: number | undefined

  const save = (next: Position): void => {
    position = next
    listener.savePosition(`${next.stream} ${next.id}`)
  }
  /** The name of the stream, which is given to it by whoever comes first. */
  const streamName = async (): Promise<string> => {
    await client.set(nameKey, randomUUID(), 'NX')
    return (await client.get(nameKey)) ?? ''
  }
  /** Finds out from where to read, once a connection stands. */
  const locate = async (): Promise<Position> => {
    const name = await streamName()
    const [first] = await client.xrange(stream, '-', '+', 'COUNT', 1)
    const [last] = await client.xrevrange(stream, '+', '-', 'COUNT', 1)
    const end = { stream: name, id: last?.[0] ?? FIRST }
    if (position === undefined) {
      // What was stored before this node heard anything may have been purged since.
      if (reading !== undefined) await listener.heard('lost', true)
      return end
    }
    if (position.stream !== name) {
      // Another server, or one that forgot: what was said lately is said once more, by everybody.
      const wasThere = heardAt !== undefined && performance.now() - heardAt < RECENT_FOR
      if (!wasThere) await listener.heard('lost', true)
      outgoing.sendAgain()
      isLate = true
      return { stream: name, id: FIRST }
    }
    // The same server with an earlier state: what it lost is said once more.
    if (isBefore(end.id, position.id)) {
      outgoing.sendAgain()
      isLate = true
      return { stream: name, id: FIRST }
    }
    // Entries were cut off that this node has not read.
    if (first !== undefined && isBefore(position.id, first[0]) && position.id !== FIRST) {
      await listener.heard('lost', true)
      return end
    }
    isLate = isBefore(position.id, end.id)
    return position
  }
  /** Waits for entries; a connection that is dead without a word is given up. */
  const waitForEntries = async (id: string) => {
    const timer = setTimeout(() => reader.disconnect(true), BLOCKED_FOR + PATIENCE)
    try {
      return await reader.xread('COUNT', READ_AT_ONCE, 'BLOCK', BLOCKED_FOR, 'STREAMS', stream, id)
    } finally {
      clearTimeout(timer)
    }
  }
  const readOnce = async (from: Position): Promise<Position> => {
    const answer = await waitForEntries(from.id)
    heardAt = performance.now()
    const [, entries = []] = answer?.[0] ?? []
    const last = entries.at(-1)
    if (last === undefined) {
      isLate = false
      return from
    }
    const others = entries.filter(([, fields]) => fields[1] !== node)
    const changes = others.map(([, fields]): ClusterChange => JSON.parse(fields[3] ?? '{}'))
    if (changes.length > 0) await listener.heard(changes, isLate)
    isLate = entries.length === READ_AT_ONCE && isLate
    return { ...from, id: last[0] }
  }
  const read = async (): Promise<void> => {
    while (!isClosed) {
      try {
        let at = await locate()
        save(at)
        while (!isClosed && reader.status === 'ready') {
          const next = await readOnce(at)
          if (next.id !== at.id) save(next)
          at = next
        }
      } catch {
        // Read from there again once the connection stands.
      }
      if (!isClosed) await sleep(PAUSE)
    }
  }
  return {
    begin: async () => save(await locate()),
    start: () => {
      reading ??= read()
    },
    publish: outgoing.publish,
    published: outgoing.sent,
    close: async () => {
      isClosed = true
      await outgoing.sent()
      reader.disconnect()
      await reading
    },
  }
}
