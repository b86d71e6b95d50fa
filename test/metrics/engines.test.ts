/** What nodes share, in the numbers: whether it works, and what waits for it. */
import express from 'express'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { memoryObjects } from '../support/objects.js'
import { image } from '../support/origin.js'
import { listen, startApp, type TestApp } from '../support/toolkit.js'

const numbersOf = async ({ artwork }: TestApp) => {
  const { url } = await listen(express().use(artwork.healthRouter))
  const text = await (await fetch(`${url}/metrics`)).text()
  return (name: string): number | undefined => {
    const [, value] = new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\S+)$`, 'm').exec(text) ?? []
    return value === undefined ? undefined : Number(value)
  }
}
const UP = 'artwork_engine_up{engine="shared store"}'

test('a node alone has none; one over a shared store says whether it works without it, and what waits', async () => {
  // Over none, also where the others are run over one.
  const alone = await startApp({ shared: undefined })
  const ofAlone = await numbersOf(alone)
  expect([ofAlone(UP), ofAlone('artwork_shared_waiting')]).toEqual([undefined, undefined])

  const objects = memoryObjects()
  const app = await startApp({ shared: objects })
  app.origin.serve('/t/p/w342/a.jpg', image(await jpeg(342, 513)))
  const before = await numbersOf(app)
  expect([before(UP), before('artwork_shared_waiting')]).toEqual([1, 0])
  objects.isFailing = true
  expect((await app.get('/images/poster/w342-webp/a.jpg')).status).toBe(200)
  await eventually(async () => {
    await app.get('/images/poster/w342-jpeg/a.jpg')
    const during = await numbersOf(app)
    expect(during(UP)).toBe(0)
    expect(during('artwork_shared_waiting')).toBeGreaterThan(0)
  })
  objects.isFailing = false
  await eventually(async () => {
    const after = await numbersOf(app)
    expect([after(UP), after('artwork_shared_waiting')]).toEqual([1, 0])
  })
})
