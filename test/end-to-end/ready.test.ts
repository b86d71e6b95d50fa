/** `/ready` tells of what is used: the store's own folders and its catalogue, and of writes that failed. */

import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import express from 'express'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { listen, startApp, type TestApp } from '../support/toolkit.js'

const readiness = async (app: TestApp) => {
  const { url } = await listen(express().use(app.artwork.healthRouter))
  return async () => (await (await fetch(`${url}/ready`)).json()) as { status: string; reasons: string[] }
}

test('a store whose folder of contents is gone bad is degraded, and well again after it (mended 5)', async () => {
  const app = await startApp({ transform: { isolate: false } })
  const ready = await readiness(app)
  const contents = join(app.directory, 'store-v2', 'content-v2')
  rmSync(contents, { recursive: true, force: true })
  // Everything beside it can be written.
  writeFileSync(contents, 'in the way')
  await eventually(async () => expect((await ready()).status).toBe('degraded'))
  rmSync(contents)
  await eventually(async () => expect((await ready()).status).toBe('ready'))
})

test('a failed write shows until one succeeds (mended 5)', async () => {
  const app = await startApp({ transform: { isolate: false } })
  const ready = await readiness(app)
  const folder = join(app.directory, 'store-v2', 'index-v5')
  rmSync(folder, { recursive: true, force: true })
  writeFileSync(folder, 'in the way')
  app.origin.serve('/t/p/w342/a.jpg', image(await jpeg(30, 20)))
  app.origin.serve('/t/p/w342/b.jpg', image(await jpeg(30, 20, 1)))
  expect((await app.get('/images/poster/w342/a.jpg')).status).toBe(200)
  await eventually(async () => expect((await ready()).status).toBe('degraded'))
  rmSync(folder)
  mkdirSync(folder)
  expect((await ready()).status).toBe('degraded')
  expect((await app.get('/images/poster/w342/b.jpg')).status).toBe(200)
  await eventually(async () => expect((await ready()).status).toBe('ready'))
})

test('two instances of one process number on one directory are both ready, whatever lies there (mended 5)', async () => {
  const one = await startApp()
  // What another process with the same number left, and may not be overwritten.
  const left = join(one.directory, `.probe-${process.pid}`)
  mkdirSync(left)
  const two = await startApp({}, one)
  for (const app of [one, two]) {
    const ready = await readiness(app)
    for (const answer of await Promise.all([ready(), ready(), ready()]))
      expect(answer).toEqual({ status: 'ready', reasons: [] })
  }
  expect(existsSync(left)).toBe(true)
  expect(readdirSync(join(one.directory, 'store-v2', 'tmp'))).toEqual([])
})
