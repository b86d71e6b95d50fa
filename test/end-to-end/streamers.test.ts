/** Streamers (PARITY 39, 42, 45) over real HTTP. */
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import express from 'express'
import { describe, expect, test } from 'vitest'
import { jpeg, png } from '../support/images.js'
import { image } from '../support/origin.js'
import { ask } from '../support/raw-http.js'
import { listen, startApp } from '../support/toolkit.js'

const IN_PROCESS = { transform: { isolate: false } } as const

describe('streamers (parity 39, 42, 45)', () => {
  test('profiles, categories and artwork under another mount; the true type; missing is 404; what is printed answers (parity 39)', async () => {
    const app = await startApp({ ...IN_PROCESS, urls: { local: '/data/images' } })
    const { url } = await listen(express().use('/data/images', app.artwork.localRouter))
    app.origin.serve('/p.png', image(await png(60, 60), 'image/png'))
    const sourceUrl = `${app.origin.url}/p.png`
    const { images } = app.artwork
    const saved = [
      await images.downloadAndCache({ sourceUrl, entityType: 'profile', entityId: 123 }),
      await images.downloadAndCache({ sourceUrl, entityType: 'category', entityId: 'Just Chatting' }),
      await images.downloadAndCache({
        sourceUrl,
        entityType: 'artwork',
        entityId: 77,
        params: { streamer: 123 },
      }),
    ]
    expect(saved.map(({ localPath }) => localPath)).toEqual([
      'profiles/profile_avatar_123.jpg',
      'categories/just_chatting.jpg',
      'artwork/profile_avatar_123/stream_77.jpg',
    ])
    for (const { localPath, url: printed } of saved) {
      const answer = await fetch(`${url}/data/images/${localPath}`)
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/jpeg'])
      expect(printed).toMatch(/^\/data\/images\//)
      expect((await app.get(printed ?? '')).status).toBe(200)
    }
    for (const path of [
      'profiles/profile_avatar_9.jpg',
      'categories/nothing.jpg',
      'artwork/profile_avatar_123/stream_1.jpg',
      'other/x.jpg',
      '',
    ])
      expect((await fetch(`${url}/data/images/${path}`)).status, path).toBe(404)
  })
  test('two names with one slug, fetched at once, are two pictures (parity 42)', async () => {
    const app = await startApp({ ...IN_PROCESS, entities: { category: { path: 'categories/{slug}.jpg' } } })
    const names = ['Just Chatting', 'just chatting!', 'JUST-CHATTING']
    const saved = await Promise.all(
      names.map(async (entityId, index) => {
        app.origin.serve(`/${index}.jpg`, image(await jpeg(40, 30, index)))
        const sourceUrl = `${app.origin.url}/${index}.jpg`
        return app.artwork.images.downloadAndCache({ sourceUrl, entityType: 'category', entityId })
      }),
    )
    expect(new Set(saved.map(({ localPath }) => localPath)).size).toBe(3)
    expect(new Set(saved.map(({ digest }) => digest)).size).toBe(3)
  })
  test('names become slugs; empty, dotted, absolute and climbing ones are refused; links out lead nowhere (parity 42)', async () => {
    const app = await startApp(IN_PROCESS)
    app.origin.serve('/p.jpg', image(await jpeg(60, 60)))
    const { images } = app.artwork
    const save = (entityId: string, entityType = 'category') =>
      images.downloadAndCache({ sourceUrl: `${app.origin.url}/p.jpg`, entityType, entityId })
    expect((await save('Just Chatting')).localPath).toBe('categories/just_chatting.jpg')
    // Another text with the same slug is another picture.
    const other = await save('just chatting!')
    expect(other.status).toBe('downloaded')
    expect(other.localPath).not.toBe('categories/just_chatting.jpg')
    for (const bad of ['', '.', '..'])
      expect(await save(bad), JSON.stringify(bad)).toMatchObject({ status: 'failed' })
    for (const odd of ['../secret', '/tmp/secret', 'a/../../b', 'a\0b']) {
      const { status, localPath } = await save(odd)
      if (status === 'downloaded') expect(localPath, odd).toMatch(/^categories\/[a-z0-9_-]+\.jpg$/)
    }
    await writeFile(join(app.directory, 'secret.jpg'), await jpeg(10, 10))
    await mkdir(join(app.directory, 'categories'), { recursive: true })
    await symlink(join(app.directory, 'secret.jpg'), join(app.directory, 'categories', 'link.jpg'))
    for (const path of [
      'categories/link.jpg',
      'categories/../secret.jpg',
      'categories/%2e%2e/secret.jpg',
      '..%2fsecret.jpg',
      '/tmp/secret.jpg',
    ])
      expect([400, 404], path).toContain((await ask(app.url, `/artwork/local/${path}`)).status)
  })
  test('a changed source URL replaces the picture; one that breaks off leaves the old one, and nothing half (parity 45)', async () => {
    const app = await startApp({ ...IN_PROCESS, fetch: { retries: 0 } })
    const { images } = app.artwork
    app.origin.serve('/old.jpg', image(await jpeg(60, 60, 1)))
    app.origin.serve('/new.jpg', image(await jpeg(60, 60, 2)))
    const bytes = await jpeg(60, 60, 3)
    app.origin.serve('/cut.jpg', (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'image/jpeg', 'Content-Length': bytes.length })
      res.write(bytes.subarray(0, bytes.length / 2))
      setTimeout(() => res.destroy(), 20)
    })
    const save = (path: string) =>
      images.downloadAndCache({ sourceUrl: app.origin.url + path, entityType: 'profile', entityId: 1 })
    const digest = async () =>
      Buffer.from(
        await (await app.get('/artwork/local/profiles/profile_avatar_1.jpg')).arrayBuffer(),
      ).toString('base64')
    await save('/old.jpg')
    const old = await digest()
    await save('/new.jpg')
    const fresh = await digest()
    expect(fresh).not.toBe(old)
    const names = images.stats().names
    expect(await save('/cut.jpg')).toMatchObject({ status: 'failed', reason: 'connection' })
    expect(await digest()).toBe(fresh)
    expect(images.stats().names).toBe(names)
  })
})
