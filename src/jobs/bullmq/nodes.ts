/** The nodes of a queue that they share: each says every few seconds that it is there, and how it is. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { ClusterNode, NodeFacts } from '../../model/job-queue.js'
import type { SharedConnection } from './keys.js'

const SAID_EVERY_MS = 5000
/** A node that said nothing for so long is gone, ms. */
const GONE_AFTER_MS = 15_000

/** See the top of the file. */
export function createNodes({ redis, keys, run }: SharedConnection, now: () => number) {
  const id = randomUUID()
  const startedAt = now()
  let timer: NodeJS.Timeout | undefined
  let factsNow: (() => NodeFacts) | undefined
  const name = `${hostname()}:${process.pid}`
  const say = (facts: NodeFacts): Promise<unknown> => {
    const node: ClusterNode = { name, startedAt, ...facts }
    return run(() =>
      redis
        .multi()
        .set(keys.node(id), JSON.stringify(node), 'PX', GONE_AFTER_MS)
        .sadd(keys.present, id)
        .exec(),
    ).catch(() => {})
  }
  return {
    /** How this node is, once it works. */
    announce: (facts: () => NodeFacts): void => {
      factsNow = facts
    },
    /** This node works: it says so from now on. */
    begin: (): void => {
      const facts = factsNow
      if (facts === undefined || timer !== undefined) return
      timer = setInterval(() => void say(facts()), SAID_EVERY_MS).unref()
      void say(facts())
    },
    /** Those that are there, by their names. */
    list: (): Promise<readonly ClusterNode[]> =>
      run(async () => {
        const ids = await redis.smembers(keys.present)
        if (ids.length === 0) return []
        const texts = await redis.mget(ids.map(keys.node))
        const gone = ids.filter((_, index) => texts[index] == null)
        if (gone.length > 0) await redis.srem(keys.present, ...gone)
        return texts
          .flatMap((text) => (text == null ? [] : [JSON.parse(text) as ClusterNode]))
          .sort((a, b) => (a.name < b.name ? -1 : 1))
      }),
    /** Says that this node is gone. */
    leave: async (): Promise<void> => {
      clearInterval(timer)
      if (timer === undefined) return
      await run(() => redis.multi().del(keys.node(id)).srem(keys.present, id).exec()).catch(() => {})
    },
  }
}
