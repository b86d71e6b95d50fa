import express from 'express'
import supertest from 'supertest'
import { expect, test } from 'vitest'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { startApp } from '../support/toolkit.js'

test('this run is on the Express that it says it is', () => {
  // `express.query` went with Express 5.
  expect(typeof Reflect.get(express, 'query')).toBe(
    process.env.EXPRESS_MAJOR === '4' ? 'function' : 'undefined',
  )
})

test('the routers can be mounted elsewhere, one by one, and leave the rest to the app', async () => {
  const { artwork, origin } = await startApp()
  origin.serve('/t/p/w92/a.jpg', image(await jpeg(92, 138)))
  origin.serve('/b.jpg', image(await jpeg(92, 138)))
  const saved = await artwork.images.downloadAndCache({
    sourceUrl: `${origin.url}/b.jpg`,
    entityType: 'profile',
    entityId: 5,
  })
  const app = express()
  app.use('/pictures', artwork.imagesRouter)
  app.use('/data/images', artwork.localRouter)
  app.use('/static/images', (_req, res) => void res.send('the app'))
  const agent = supertest(app)
  await agent.get('/pictures/poster/w92/a.jpg').expect(200).expect('content-type', 'image/jpeg')
  await agent.get(`/data/images/${saved.localPath}`).expect(200).expect('content-type', 'image/jpeg')
  await agent
    .get('/data/images/profiles/none.jpg')
    .expect(404)
    .expect('content-type', /^text\/plain/)
  await agent.get('/images/poster/w92/a.jpg').expect(404)
  await agent.get('/static/images/mine.png').expect(200, 'the app')
})

test('what is not ours under our mounts goes on to the app', async () => {
  const { artwork } = await startApp()
  const app = express()
  app.use(artwork.router)
  app.use((_req, res) => void res.send('the app'))
  await supertest(app).get('/static/images/mine.png').expect(200, 'the app')
  await supertest(app).get('/static/images/placeholder-nonsense.svg').expect(404)
  await supertest(app).get('/elsewhere').expect(200, 'the app')
})
