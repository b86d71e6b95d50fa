/** The model of several nodes: its table in the documentation is what it says, and what it counts is what nodes do. */
import { expect, test } from 'vitest'
import { play, table, USUAL } from '../../docs/generate/cluster-model.js'
import { pageAt, table as tableIn } from '../support/documents.js'
import { jpeg } from '../support/images.js'
import { memoryObjects } from '../support/objects.js'
import { image } from '../support/origin.js'
import { anOrigin, remoteAddress, startApp } from '../support/toolkit.js'

test('the table of the documentation is what the model says', () => {
  expect(tableIn(pageAt('docs/cluster.md'), '## How many requests it takes')).toEqual(table())
})

test('with a bucket sources are asked as often as by one node, whatever the number of nodes', () => {
  const small = { ...USUAL, requests: 20_000, pictures: 2000, room: 500 }
  const [one, many] = [
    play({ ...small, replacedEvery: 0 }),
    play({ ...small, nodes: 50, replacedEvery: 1000 }),
  ]
  expect(many.upstream).toBe(one.upstream)
  expect(play({ ...small, nodes: 50, isShared: false }).upstream).toBeGreaterThan(many.upstream * 2)
  expect(play({ ...small, nodes: 50, isHashed: true }).reads).toBeLessThan(many.reads)
})

test('two nodes ask the bucket as often as the model says, for a picture that none has, and for one that the other has', async () => {
  const objects = memoryObjects()
  const origin = await anOrigin()
  // What follows the end of a JPEG is passed over.
  const bytes = Buffer.concat([await jpeg(1200, 900), Buffer.alloc(100_000)])
  origin.serve('/a.jpg', image(bytes))
  const start = () => startApp({ shared: objects, widths: [200] }, { origin })
  const [first, second] = [await start(), await start()]
  const path = `/images/${remoteAddress(`${origin.url}/a.jpg`, 'w200-webp')}`
  const sizes = { original: bytes.length, rendition: 5000 }
  const scene = { ...USUAL, nodes: 2, pictures: 1, requests: 1, bytes: sizes }
  const asked = () => {
    const { get = 0, head = 0, put = 0 } = objects.counts
    return { reads: get + head, writes: put }
  }
  expect((await first.get(path)).status).toBe(200)
  await first.stop()
  const cold = play(scene)
  expect(asked()).toEqual({ reads: cold.reads, writes: cold.writes })
  const before = asked()
  expect((await second.get(path)).status).toBe(200)
  expect(asked()).toEqual({ reads: before.reads + 1, writes: before.writes })
  expect(origin.hits()).toBe(1)
})
