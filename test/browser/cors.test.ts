/// <reference lib="dom" />
/** The JSON API from a page of another origin, in a real browser (mended 21). */
import express from 'express'
import { uploads } from 'express-artwork'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBrowser } from '../support/browser.js'
import { png } from '../support/images.js'
import { atEnd, listen, startApp } from '../support/toolkit.js'

let browser: Browser
beforeAll(async () => {
  browser = await openBrowser()
})
afterAll(() => browser?.close())

test('a named origin may upload, list and manage with its cookie; another may not even read (mended 21)', async () => {
  // Origins of their own, by their ports.
  const pages = await Promise.all(
    [1, 2].map(() => listen((_req, res) => void res.end('<!doctype html><title>a page</title>'))),
  )
  const [named = '', other = ''] = pages.map(({ url }) => url)
  const isKnown = (req: { headers: { cookie?: string | undefined } }) =>
    req.headers.cookie?.includes('session=right') ? true : ('unauthenticated' as const)
  const app = await startApp({
    transform: { isolate: false },
    sources: [uploads({ authorize: isKnown, cors: [named] })],
    manage: { authorize: isKnown, cors: [named] },
  })
  const { url } = await listen(express().use(app.artwork.router).use('/api/images', app.artwork.manageRouter))
  const bytes = [...(await png())]
  const calls = async (origin: string, isLoggedIn: boolean) => {
    const context = await browser.newContext()
    atEnd(() => context.close())
    if (isLoggedIn) await context.addCookies([{ name: 'session', value: 'right', url }])
    const page = await context.newPage()
    await page.goto(origin)
    return page.evaluate(
      async ({ to, bytes }) => {
        const call = async (path: string, init: RequestInit = {}): Promise<string> => {
          try {
            const answer = await fetch(to + path, { credentials: 'include', ...init })
            const challenge = answer.headers.get('www-authenticate')
            return [answer.status, challenge, answer.headers.get('location') === null ? '' : 'location']
              .filter(Boolean)
              .join(' ')
          } catch {
            return 'unreadable'
          }
        }
        const body = new Uint8Array(bytes)
        return [
          await call('/images/avatars', { method: 'PUT', headers: { 'Content-Type': 'image/png' }, body }),
          await call('/images/avatars'),
          await call('/images/avatars/0123', { method: 'DELETE' }),
          await call('/api/images/refresh', {
            method: 'POST',
            headers: { 'Content-Type': 'application/json', Authorization: 'Bearer x' },
            body: '{}',
          }),
        ]
      },
      { to: url, bytes },
    )
  }
  expect(await calls(named, true)).toEqual(['200', '200', '404', '202 location'])
  const asked = '401 Bearer realm="express-artwork"'
  expect(await calls(named, false)).toEqual([asked, asked, asked, asked])
  expect(await calls(other, true)).toEqual(['unreadable', 'unreadable', 'unreadable', 'unreadable'])
  expect(app.artwork.images.stats().uploads).toMatchObject({ images: 1 })
})
