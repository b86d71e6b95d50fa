/** Uploads of several nodes: acknowledged once the shared store has them, found and listed by every node, and gone everywhere. */
import { type ArtworkWithUploads, remote, uploads } from 'express-artwork'
import { describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { type MemoryObjects, memoryObjects } from '../support/objects.js'
import { startApp, type TestApp } from '../support/toolkit.js'

interface Node extends TestApp {
  readonly artwork: ArtworkWithUploads
}
const node = async (objects: MemoryObjects): Promise<Node> => {
  const app = await startApp({
    shared: objects,
    widths: [40],
    sources: [
      remote({ hosts: ['127.0.0.1'] }),
      uploads({ authorize: () => true, namespaces: { photos: {} } }),
    ],
  })
  return app as Node
}
const keysOf = ({ objects }: MemoryObjects): string[] =>
  [...objects.keys()].filter((key) => key.startsWith('site/uploads/photos/'))

describe('uploads that nodes share', () => {
  test('one that was acknowledged by a node is answered, listed and made smaller by another', async () => {
    const objects = memoryObjects()
    const [one, two] = [await node(objects), await node(objects)]
    const stored = await one.artwork.uploads.save('photos', await jpeg(120, 90))
    expect(keysOf(objects)).toHaveLength(1)
    const answers = await Promise.all([one.get(stored.url), two.get(stored.url)])
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    const [mine, theirs] = await Promise.all(
      answers.map(async (answer) => Buffer.from(await answer.arrayBuffer())),
    )
    expect(theirs?.equals(mine ?? Buffer.alloc(0))).toBe(true)
    expect((await two.get(`/images/photos/w40-webp/${stored.imageId}`)).status).toBe(200)
    const { images } = await two.artwork.uploads.list('photos')
    expect(images).toMatchObject([{ imageId: stored.imageId, width: 120, height: 90, bytes: stored.bytes }])
    // The same bytes are the same image, whoever takes them.
    expect(await two.artwork.uploads.save('photos', await jpeg(120, 90))).toMatchObject({
      imageId: stored.imageId,
    })
    expect(keysOf(objects)).toHaveLength(1)
  })
  test('lists go page by page over what all nodes took, and removing all removes it', async () => {
    const objects = memoryObjects()
    const [one, two] = [await node(objects), await node(objects)]
    for (let index = 0; index < 6; index += 1)
      await (index % 2 === 0 ? one : two).artwork.uploads.save('photos', await jpeg(30 + index, 20))
    const first = await one.artwork.uploads.list('photos', { limit: 4 })
    const second = await two.artwork.uploads.list('photos', {
      limit: 4,
      ...(first.next && { after: first.next }),
    })
    expect([first.images.length, second.images.length, second.next]).toEqual([4, 2, undefined])
    expect(new Set([...first.images, ...second.images].map(({ imageId }) => imageId)).size).toBe(6)
    expect(await two.artwork.uploads.removeAll('photos')).toBe(6)
    expect(keysOf(objects)).toEqual([])
    expect((await one.artwork.uploads.list('photos')).images).toEqual([])
  })
  test('one that the shared store does not take is refused, and is nowhere', async () => {
    const objects = memoryObjects()
    const [one, two] = [await node(objects), await node(objects)]
    await one.artwork.uploads.save('photos', await jpeg(50, 50))
    objects.before = async (verb, key) => {
      if (verb === 'put' && key.includes('/photos/')) throw new Error('it takes nothing')
    }
    await expect(one.artwork.uploads.save('photos', await jpeg(60, 60))).rejects.toMatchObject({
      status: 503,
    })
    objects.before = async () => {}
    for (const each of [one, two])
      expect((await each.artwork.uploads.list('photos')).images.map(({ width }) => width)).toEqual([50])
    // Taken afterwards, it is there.
    await one.artwork.uploads.save('photos', await jpeg(60, 60))
    expect((await two.artwork.uploads.list('photos')).images).toHaveLength(2)
  })
  test('while the shared store cannot be asked, what a node has is answered, and nothing else is said to be absent', async () => {
    const objects = memoryObjects()
    const [one, two] = [await node(objects), await node(objects)]
    const stored = await one.artwork.uploads.save('photos', await jpeg(120, 90))
    objects.isFailing = true
    expect((await one.get(stored.url)).status).toBe(200)
    expect((await two.get(stored.url)).status).toBe(503)
    await expect(two.artwork.uploads.list('photos')).rejects.toMatchObject({ status: 503 })
    await expect(one.artwork.uploads.remove('photos', stored.imageId)).rejects.toMatchObject({ status: 503 })
    objects.isFailing = false
    await eventually(async () => expect((await two.get(stored.url)).status).toBe(200))
    expect((await two.get(`/images/photos/${'0'.repeat(32)}`)).status).toBe(404)
  })
  test('one that is removed while another node fetches it is not kept there', async () => {
    const objects = memoryObjects()
    const [one, two] = [await node(objects), await node(objects)]
    const stored = await one.artwork.uploads.save('photos', await jpeg(120, 90))
    let isRemoved = false
    objects.before = async (verb) => {
      if (verb !== 'head' || isRemoved) return
      isRemoved = true
      await one.artwork.uploads.remove('photos', stored.imageId)
    }
    expect((await two.get(stored.url)).status).toBe(404)
    expect(isRemoved).toBe(true)
    expect((await two.get(stored.url)).status).toBe(404)
  })
})

test('an upload that a node has, and the shared store lost, is there again before it is acknowledged once more', async () => {
  const objects = memoryObjects()
  const one = await node(objects)
  const bytes = await jpeg(70, 50)
  await one.artwork.uploads.save('photos', bytes)
  // As if the node had been killed before it was put there.
  for (const key of keysOf(objects)) objects.objects.delete(key)
  await one.artwork.uploads.save('photos', bytes)
  expect(keysOf(objects)).toHaveLength(1)
})
