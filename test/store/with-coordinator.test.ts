/** What nodes tell each other, by a coordinator in memory: what one has changed is right everywhere, however late it is heard. */
import { describe, expect, test } from 'vitest'
import type { ClusterChange, Coordinator, CoordinatorListener } from '#src/model/coordinator.js'
import { createDiskStore } from '#src/store/disk/store.js'
import { openSharedTier } from '#src/store/shared/shared-tier.js'
import { withCoordinator } from '#src/store/shared/with-coordinator.js'
import { entriesBy } from '../support/entries.js'
import { eventually } from '../support/eventually.js'
import { memoryObjects } from '../support/objects.js'
import { atEnd, quietLogger, temporaryFolder } from '../support/toolkit.js'

const clock = { now: 1_000_000 }
const now = () => clock.now
const entry = entriesBy(clock)

/** A feed that a test may hold back from a node. */
function createFeed() {
  const members: { listener: CoordinatorListener; held: ClusterChange[] | undefined }[] = []
  const published: ClusterChange[] = []
  let isHeld = true
  return {
    published,
    /** Another node takes the leases of all. */
    take: (isLost = true): void => {
      isHeld = !isLost
    },
    hold: (index: number): void => {
      const member = members[index]
      if (member !== undefined) member.held = []
    },
    letGo: async (index: number): Promise<void> => {
      const member = members[index]
      const held = member?.held ?? []
      if (member !== undefined) member.held = undefined
      await member?.listener.heard(held, true)
    },
    lose: (index: number) => members[index]?.listener.heard('lost', true),
    open: async (listener: CoordinatorListener): Promise<Coordinator> => {
      const me = { listener, held: undefined as ClusterChange[] | undefined }
      members.push(me)
      return {
        lease: async () => ({ waited: false, fence: 1, isHeld: async () => isHeld, release: () => {} }),
        publish: (change) => {
          published.push(change)
          for (const other of members) {
            if (other === me) continue
            if (other.held === undefined) void other.listener.heard([change], false)
            else other.held.push(change)
          }
        },
        published: async () => {},
        nodes: () => 1,
        trouble: () => undefined,
        close: async () => {},
      }
    },
  }
}

async function nodes(count: number) {
  const feed = createFeed()
  const objects = memoryObjects()
  const missed: number[] = []
  const made = []
  for (let index = 0; index < count; index += 1) {
    const directory = await temporaryFolder()
    const local = await createDiskStore({
      ...{ maxBytes: 10_000_000, maxNames: 1000, now, directory },
      logger: quietLogger(),
    })
    const tier = await openSharedTier(local, {
      ...{ source: objects, directory, logger: quietLogger(), now },
      ...{ retryEvery: 20, openFor: 30 },
    })
    const { store } = await withCoordinator(tier.store, {
      hosts: { watch: () => {}, heard: () => {}, divideBy: () => {} },
      ...{ local, tier, logger: quietLogger(), open: feed.open },
      dropped: async () => {},
      missed: async () => void missed.push(index),
      onChange: () => {},
    })
    atEnd(store.close)
    made.push({ store, local, tier })
  }
  return { feed, objects, missed, made: made as [(typeof made)[0], (typeof made)[0], ...typeof made] }
}
const original = (key: string) => entry(key, { role: 'original' })
const rendition = (key: string, of: string) => entry(key, { role: 'rendition', original: of, recipe: 'r' })

describe('nodes that hear of each other', () => {
  test('what one removes is gone from all, and work that has to do with none of it is stored', async () => {
    const { made } = await nodes(2)
    const [one, two] = made
    for (const { store } of made) await store.write(original('o'), Buffer.from('o'))
    await two.store.write(rendition('r', 'o'), Buffer.from('r'))
    const generation = two.store.generation()
    await one.store.delete('o')
    await eventually(() => expect([two.local.find('o'), two.local.find('r')]).toEqual([undefined, undefined]))
    expect(two.store.generation()).toBe(generation)
  })
  test('what a node made of something purged, while it was away, is not left in the shared store', async () => {
    const { feed, objects, made } = await nodes(2)
    const [one, two] = made
    for (const { store } of made) await store.write(original('o'), Buffer.from('o'))
    feed.hold(1)
    await one.store.delete('o')
    await two.store.write(rendition('r', 'o'), Buffer.from('r'))
    await eventually(() => expect(two.tier.pending()).toBe(0))
    expect([...objects.objects.keys()]).not.toEqual([])
    await feed.letGo(1)
    await eventually(() => expect([...objects.objects.keys()]).toEqual([]))
  })
  test('what was made under a lease that another node has had since is not stored', async () => {
    const { made, feed } = await nodes(1)
    const [{ store }] = made
    const generation = store.generation()
    const lease = await store.lease('o')
    feed.take()
    await store.write(original('o'), Buffer.from('o'), { generation }).catch(() => {})
    lease.release()
    expect(store.find('o')).toBeUndefined()
    feed.take(false)
    const next = await store.lease('o')
    await store.write(original('o'), Buffer.from('o'), { generation: store.generation() })
    next.release()
    expect(store.find('o')).toBeDefined()
  })
  test('a removal that the shared store did not take is announced again once it has', async () => {
    const { feed, objects, made } = await nodes(2)
    const [one, two] = made
    await one.store.write(original('o'), Buffer.from('o'))
    await eventually(() => expect(one.tier.pending()).toBe(0))
    objects.before = async (verb) => {
      if (verb === 'delete' || verb === 'list') throw new Error('not now')
    }
    await one.store.delete('o')
    // Another node finds it there still.
    await eventually(async () => expect((await two.store.lookup('o', 'o'))?.isStored).toBe(true))
    expect(await one.store.lookup('o', 'o')).toBeUndefined()
    const before = feed.published.length
    objects.before = async () => {}
    await eventually(() => expect(two.local.find('o')).toBeUndefined())
    expect(feed.published.length).toBeGreaterThan(before)
  })
  test('one that cannot know what it missed begins anew, and looks again at what is outside of the store', async () => {
    const { feed, missed, made } = await nodes(2)
    const [, two] = made
    await two.store.write(original('o'), Buffer.from('o'))
    await feed.lose(1)
    expect(two.local.find('o')).toBeUndefined()
    expect(missed).toEqual([1])
    // It is read back from the shared store.
    expect((await two.store.lookup('o', 'o'))?.isStored).toBe(true)
  })
  test('what one node has not used for long stays where others have it', async () => {
    const { made } = await nodes(2)
    const [one, two] = made
    for (const { store } of made) await store.write(original('o'), Buffer.from('o'))
    await one.store.delete('o', 'node')
    expect(one.local.find('o')).toBeUndefined()
    expect(two.local.find('o')?.isStored).toBe(true)
    expect((await one.store.lookup('o', 'o'))?.isStored).toBe(true)
  })
})
