/**
 * Every fault of `test/data/faults.json` under its id, really injected: killed processes, full and read-only file
 * systems, upstreams on raw sockets that stall, drip, lie and cut. What a machine cannot do is shown by a test that
 * says why, and counts for nothing.
 */

import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import express from 'express'
import { type ArtworkOptions, createArtwork, remote, uploads } from 'express-artwork'
import { afterAll, describe, expect, test } from 'vitest'
import { createContents } from '#src/store/disk/contents.js'
import { createFleet, freePort, startExample } from '../support/child-process.js'
import { differences } from '../support/entries.js'
import { eventually } from '../support/eventually.js'
import { jpeg, png } from '../support/images.js'
import { image } from '../support/origin.js'
import { ask } from '../support/raw-http.js'
import {
  atEnd,
  listen,
  POSTER,
  quietLogger,
  remoteAddress,
  stage,
  temporaryFolder,
  tmdbPath,
  withPoster,
} from '../support/toolkit.js'

interface Item {
  readonly id: string
  readonly fault: string
}
const items: readonly Item[] = JSON.parse(
  readFileSync(new URL('../data/faults.json', import.meta.url), 'utf8'),
).items
const isFull = process.env.STRESS === 'full'
const fleet = createFleet(0)
afterAll(fleet.end)

const rejections: unknown[] = []
process.on('unhandledRejection', (reason) => rejections.push(reason))
afterAll(() => expect(rejections).toEqual([]))

/** Mounts a file system of its own, until the test ends. @throws Error where this machine does not let us */
async function mounted(options: string): Promise<string> {
  const folder = await temporaryFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'ignore' })
  atEnd(async () => void execFileSync('umount', ['-l', folder]))
  return folder
}
const canMount = (() => {
  try {
    execFileSync('sh', ['-c', 'd=$(mktemp -d) && mount -t tmpfs tmpfs $d && umount $d'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

const contentsOf = (directory: string): string[] =>
  readdirSync(join(directory, 'store-v2', 'content-v2'), { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name))

/** A poster that is held on disk and not in memory, and what harm is done to its bytes. */
async function harmed(harm: (file: string, directory: string) => void | Promise<void>) {
  const directory = await temporaryFolder()
  const set = await withPoster('Express', { directory, memory: { maxBytes: 0 } })
  const first = await set.ask(POSTER)
  const [file = ''] = contentsOf(directory)
  await harm(file, directory)
  return { ...set, first, file, directory }
}
const isHealed = async ({ ask, first, origin, file, artwork }: Awaited<ReturnType<typeof harmed>>) => {
  const again = await ask(POSTER)
  expect([again.status, again.body.equals(first.body)]).toEqual([200, true])
  expect(origin.hits()).toBe(2)
  expect(createHash('sha256').update(readFileSync(file)).digest('hex')).toBe(
    createHash('sha256').update(first.body).digest('hex'),
  )
  expect(artwork.images.stats().badCopies).toBe(1)
  expect((await ask(POSTER)).status).toBe(200)
  expect(origin.hits()).toBe(2)
}

/** An upstream of raw sockets: what it sends is what is written. */
async function wire(serve: (socket: Socket, head: string) => void, options: ArtworkOptions = {}) {
  let requests = 0
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.once('data', (head) => {
      requests += 1
      serve(socket, head.toString())
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  const host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  const set = await stage('Express', {
    ...options,
    fetch: {
      allowPrivate: [host],
      firstByteTimeout: 1500,
      idleTimeout: 1500,
      totalTimeout: 8000,
      ...options.fetch,
    },
  })
  const path = `/images/${remoteAddress(`http://${host}/a.jpg`)}`
  return { ...set, host, path, sockets, requests: () => requests }
}
const head = (fields: string): string => `HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n${fields}\r\n\r\n`
/** What comes of an upstream that answers badly: the status, nothing kept, its socket let go. */
async function comesTo(
  status: number,
  serve: (socket: Socket, head: string) => void,
  options?: ArtworkOptions,
): Promise<void> {
  const { ask, path, artwork, sockets } = await wire(serve, options)
  expect((await ask(path)).status).toBe(status)
  expect(artwork.images.stats().names).toBe(0)
  await eventually(() => expect(sockets.size).toBe(0))
}
/** A toolkit that fetches pictures of a remote host, in whatever directory. */
async function remoteApp(directory: string, options: ArtworkOptions = {}) {
  return stage('Express', { directory, ...options })
}
const fullDisk = async (mountOptions: string): Promise<void> => {
  const folder = await mounted(mountOptions)
  const { ask, origin, artwork } = await remoteApp(join(folder, 'data'), { memory: { maxBytes: 0 } })
  const { url } = await listen(express().use(artwork.healthRouter))
  const paths: string[] = []
  for (let index = 0; index < 150; index += 1) {
    origin.serve(`/${index}.png`, image(await png(40 + index, 400), 'image/png'))
    const path = `/images/${remoteAddress(`${origin.url}/${index}.png`)}`
    const answer = await ask(path)
    expect(answer.status, path).toBe(200)
    paths.push(path)
    if (artwork.images.stats().paused !== undefined) break
  }
  expect(artwork.images.stats().paused).toBe('the disk is full')
  const ready = await fetch(`${url}/ready`)
  expect([ready.status, (await ready.json()).status]).toEqual([200, 'degraded'])
  expect(readdirSync(join(folder, 'data', 'store-v2', 'tmp'))).toEqual([])
  await eventually(() => expect(artwork.images.stats().evictions).toBeGreaterThan(0))
  for (const path of paths) expect((await ask(path)).status).toBe(200)
  const held = artwork.images.stats()
  expect(held.names).toBeGreaterThan(0)
  expect(await artwork.images.verify({ bytesPerSecond: 1e9 })).toMatchObject({ damaged: 0, unreadable: 0 })
}

/** The decoding child of this process. */
const decoder = (): number =>
  Number(
    readdirSync('/proc').find((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        return (
          stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] === String(process.pid) &&
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('/transform/worker')
        )
      } catch {
        return false
      }
    }),
  )

/** F41, with decoders in the process of the app and in children. */
async function withFewDescriptors(isolate: boolean): Promise<void> {
  const directory = await temporaryFolder()
  const bytes = await jpeg(60, 40)
  const upstream = await listen((_req, res) => {
    setTimeout(() => res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(bytes), 30)
  })
  const { host } = new URL(upstream.url)
  // The limit is lowered once all is loaded: Node's own loader opens more files than that at once.
  const program = `import { execFileSync } from 'node:child_process'
    import express from 'express'
    import { createArtwork, remote } from './src/index.ts'
    execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=64'])
    const artwork = await createArtwork({ directory: '${directory}', sources: [remote({ hosts: ['127.0.0.1'] })],
      fetch: { allowPrivate: ['${host}'], maxSockets: 200, perHost: 200 }, transform: { isolate: ${isolate} },
      logger: { debug() {}, info() {}, warn() {}, error() {} } })
    const server = express().use(artwork.router).listen(0, '127.0.0.1', () => console.log(server.address().port))`
  const args = ['--import', 'tsx', '--input-type=module', '--eval', program]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  atEnd(async () => void child.kill('SIGKILL'))
  const [port] = await new Promise<string[]>((resolve) =>
    child.stdout.once('data', (data) => resolve(String(data).trim().split('\n'))),
  )
  const base = `http://127.0.0.1:${port}`
  const status = (index: number) =>
    ask(base, `/images/${remoteAddress(`${upstream.url}/${index}.jpg`)}`).then(
      (answer) => answer.status,
      (error) => String(error.code ?? error.message),
    )
  const statuses = await Promise.all(Array.from({ length: 120 }, (_, index) => status(index)))
  expect(statuses.filter((one) => one === 500)).toEqual([])
  await eventually(async () => expect(await status(1000)).toBe(200))
  expect(child.exitCode).toBeNull()
}

const tests: Readonly<Record<string, () => Promise<void>>> = {
  F01: async () => {
    const directory = await temporaryFolder()
    const opening = { directory, maxBytes: 100_000_000, maxNames: 100 }
    for (let round = 0; round < (isFull ? 200 : 4); round += 1) {
      const one = await fleet.take()
      await one.order('open', opening)
      await one.order('settled')
      expect(differences(directory)).toEqual([])
      const held = await one.order('read', 'a')
      expect(held === undefined || held.startsWith('a ')).toBe(true)
      const writing = one.order('write', 'a', `a ${round}`, 5_000_000).catch(() => {})
      await sleep((round * 7) % 60)
      await one.kill()
      await writing
    }
  },
  F02: async () => {
    const directory = await temporaryFolder()
    const one = await fleet.take()
    await one.order('open', { directory, maxBytes: 1e8, maxNames: 100 })
    await one.order('write', 'a', 'a 1', 1000)
    await one.kill()
    const bytes = createContents(join(directory, 'store-v2'), () => 'x')
    const orphan = Buffer.from('content whose name was never written')
    const path = bytes.contentPath(createHash('sha256').update(orphan).digest('hex'))
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, orphan)
    const two = await fleet.take()
    await two.order('open', { directory, maxBytes: 1e8, maxNames: 100 })
    await two.order('settled')
    expect(existsSync(path)).toBe(false)
    expect(await two.order('read', 'a')).toBe('a 1')
    await two.order('close')
    expect(differences(directory)).toEqual([])
    await two.kill()
  },
  F03: async () => {
    await isHealed(await harmed((file) => truncateSync(file, 0)))
    await isHealed(await harmed((file) => writeFileSync(file, Buffer.alloc(statSync(file).size))))
    // All of them at once, before a start.
    const { artwork, directory } = await harmed((file) => truncateSync(file, 0))
    await artwork.close()
    const again = await withPoster('Express', { directory })
    expect((await again.ask(POSTER)).status).toBe(200)
  },
  F04: () => fullDisk('size=2m'),
  F05: async () => {
    const folder = await mounted('size=3m')
    const { ask, origin, artwork } = await remoteApp(join(folder, 'data'))
    const bytes = await png(100, 100)
    for (const name of ['a', 'b', 'c']) origin.serve(`/${name}.png`, image(bytes, 'image/png'))
    const path = (name: string) => `/images/${remoteAddress(`${origin.url}/${name}.png`)}`
    expect((await ask(path('a'))).status).toBe(200)
    try {
      writeFileSync(join(folder, 'filling'), Buffer.alloc(4_000_000))
    } catch {
      // That is what it was for.
    }
    for (const name of ['b', 'c', 'a']) expect((await ask(path(name))).status).toBe(200)
    rmSync(join(folder, 'filling'))
    expect(await artwork.images.verify({ bytesPerSecond: 1e9 })).toMatchObject({ damaged: 0 })
    await artwork.close()
    const again = await remoteApp(join(folder, 'data'))
    expect(again.artwork.images.stats().names).toBeLessThanOrEqual(3)
  },
  F06: () => fullDisk('nr_inodes=200'),
  F07: async () => {
    const folder = await mounted('size=8m')
    const held = await withPoster('Express', { directory: join(folder, 'data'), memory: { maxBytes: 0 } })
    await held.ask(POSTER)
    await held.artwork.close()
    execFileSync('mount', ['-o', 'remount,ro', folder])
    const lines = quietLogger()
    const { ask, artwork } = await withPoster('Express', { directory: join(folder, 'data'), logger: lines })
    expect(lines.lines.join()).toContain('kept in memory only')
    for (let time = 0; time < 2; time += 1) expect((await ask(POSTER)).status).toBe(200)
    expect(artwork.images.stats().durable).toBe(false)
    await expect(
      createArtwork({ directory: join(folder, 'data'), disk: { required: true }, logger: quietLogger() }),
    ).rejects.toThrow('disk.required')
    // It becomes so while it is used.
    execFileSync('mount', ['-o', 'remount,rw', folder])
    const running = await withPoster('Express', { directory: join(folder, 'data') })
    await running.ask(POSTER)
    const store = join(folder, 'data', 'store-v2')
    execFileSync('mount', ['--bind', store, store])
    atEnd(async () => void execFileSync('umount', ['-l', store]))
    execFileSync('mount', ['-o', 'remount,ro,bind', store])
    running.origin.serve('/t/p/w500/y.jpg', image(await jpeg(60, 40)))
    for (const path of [POSTER, POSTER.replace('x.jpg', 'y.jpg')])
      expect((await running.ask(path)).status).toBe(200)
    expect(running.artwork.images.stats().paused).toBe('the disk cannot be written')
  },
  F08: async () => {
    const { ask, artwork, origin, directory } = await harmed((_file, folder) =>
      rmSync(folder, { recursive: true, force: true }),
    )
    expect((await ask(POSTER)).status).toBe(200)
    await eventually(async () => {
      expect((await ask(POSTER)).status).toBe(200)
      expect(existsSync(join(directory, 'catalogue-v2.sqlite'))).toBe(true)
      expect(artwork.images.stats().names).toBe(1)
    })
    const asked = origin.hits()
    expect((await ask(POSTER)).status).toBe(200)
    expect(origin.hits()).toBe(asked)
  },
  F09: async () =>
    isHealed(
      await harmed((file) => {
        const bytes = readFileSync(file)
        bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1)
        writeFileSync(file, bytes)
      }),
    ),
  F10: async () => {
    const other = await jpeg(500, 300, 3)
    await isHealed(await harmed((file) => writeFileSync(file, other)))
  },
  F11: async () => {
    const harms: ((bucket: string) => void)[] = [
      (bucket) => truncateSync(bucket, statSync(bucket).size - 20),
      (bucket) => writeFileSync(bucket, Buffer.alloc(500, 0xfe)),
      (bucket) => truncateSync(bucket, 100_000_000),
      (bucket) => writeFileSync(bucket, `${readFileSync(bucket, 'utf8')}\nhalf a li`),
    ]
    for (const harm of harms) {
      const { artwork, directory, first } = await harmed(() => {})
      await artwork.close()
      const index = join(directory, 'store-v2', 'index-v5')
      const [bucket] = readdirSync(index, { recursive: true, withFileTypes: true }).filter((file) =>
        file.isFile(),
      )
      harm(join(bucket?.parentPath ?? '', bucket?.name ?? ''))
      for (const suffix of ['', '-wal', '-shm'])
        rmSync(join(directory, `catalogue-v2.sqlite${suffix}`), { force: true })
      const again = await withPoster('Express', { directory })
      const answer = await again.ask(POSTER)
      expect([answer.status, answer.body.equals(first.body)]).toEqual([200, true])
      await again.artwork.close()
    }
  },
  F12: async () => isHealed(await harmed((file) => rmSync(file))),
  F13: async () => {
    const set = await harmed((file, directory) => {
      const folder = join(file, '..')
      writeFileSync(join(directory, 'secret'), 'SENTINEL')
      rmSync(file)
      symlinkSync(join(directory, 'secret'), file)
      execFileSync('mkfifo', [join(folder, 'pipe')])
      writeFileSync(join(directory, 'store-v2', 'README'), 'somebody’s')
    })
    await isHealed(set)
    await set.artwork.images.verify({ bytesPerSecond: 1e9 })
    expect(readFileSync(join(set.directory, 'store-v2', 'README'), 'utf8')).toBe('somebody’s')
    expect(readFileSync(join(set.directory, 'secret'), 'utf8')).toBe('SENTINEL')
  },
  F14: async () => {
    const directory = await temporaryFolder()
    const processes = [await fleet.take(), await fleet.take()]
    for (const one of processes) await one.order('open', { directory, maxBytes: 3_000_000, maxNames: 60 })
    const names = Array.from({ length: 50 }, (_, index) => `o/${index}`)
    const load = { names, concurrency: 4, operations: isFull ? 20_000 : 600, maxSize: 50_000 }
    const loads = processes.map((one, index) => one.order('load', { ...load, seed: 5 + index }))
    for (let time = 0; time < 3; time += 1)
      expect(await processes[0]?.order('verify')).toMatchObject({ damaged: 0, unreadable: 0 })
    for (const report of await Promise.all(loads)) expect(report.errors).toEqual([])
    for (const one of processes) await one.order('close')
    expect(differences(directory)).toEqual([])
    for (const one of processes) await one.kill()
  },
  F15: async () => {
    const { ask, clock, origin, artwork } = await withPoster('Express')
    artwork.start()
    await ask(POSTER)
    clock.now -= 2 * 86_400_000
    // What is dated in the future is used, and asked about again.
    const answer = await ask(POSTER)
    expect([answer.status, answer.headers.age]).toEqual([200, '0'])
    await eventually(() => expect(origin.hits()).toBe(2))
    await artwork.refresher.idle()
    clock.now += 365 * 86_400_000
    expect((await ask(POSTER)).status).toBe(200)
    expect(origin.hits()).toBe(3)
    origin.serve('/t/p/w500/y.jpg', image(await jpeg(30, 20)))
    expect((await ask(POSTER.replace('x.jpg', 'y.jpg'))).status).toBe(200)
  },
  F16: () =>
    comesTo(504, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n')
      const timer = setInterval(() => socket.write('X-Slow: 1\r\n'), 40)
      socket.on('close', () => clearInterval(timer))
    }),
  F17: async () => {
    const drip = (socket: Socket): void => {
      socket.write(head('Content-Length: 100000'))
      const timer = setInterval(() => socket.write('x'), 40)
      socket.on('close', () => clearInterval(timer))
    }
    await comesTo(504, drip, { fetch: { totalTimeout: 1000 } })
    await comesTo(504, drip, { fetch: { totalTimeout: 20_000, minBytesPerSecond: 1000 } })
  },
  F18: async () => {
    await comesTo(504, () => {})
    // A TLS connection that is never made counts as connecting.
    const { ask, host, sockets } = await wire(() => {}, {
      fetch: { connectTimeout: 200, firstByteTimeout: 5000 },
    })
    expect((await ask(`/images/${remoteAddress(`https://${host}/a.jpg`)}`)).status).toBe(504)
    await eventually(() => expect(sockets.size).toBe(0))
    // Ten in a row rest the host: the next is refused at once, and nobody is asked.
    const silent = await wire(() => {}, { fetch: { firstByteTimeout: 20 } })
    for (let index = 0; index < 10; index += 1)
      expect(
        (await silent.ask(`/images/${remoteAddress(`http://${silent.host}/${index}.jpg`)}`)).status,
      ).toBe(504)
    const rested = await silent.ask(`/images/${remoteAddress(`http://${silent.host}/next.jpg`)}`)
    expect([rested.status, silent.requests()]).toEqual([503, 10])
  },
  F19: async () => {
    const bytes = await jpeg(200, 200)
    await comesTo(502, (socket) => {
      socket.write(head(`Content-Length: ${bytes.length}`))
      socket.end(bytes.subarray(0, bytes.length >> 1))
    })
  },
  F20: async () => {
    const bytes = await jpeg(200, 200)
    await comesTo(502, (socket) => {
      socket.write(head('Transfer-Encoding: chunked'))
      socket.write(`${bytes.length.toString(16)}\r\n`)
      socket.end(bytes)
    })
  },
  F21: async () => {
    const bytes = await jpeg(200, 200)
    await comesTo(422, (socket) => {
      socket.write(head('Connection: close'))
      socket.end(bytes.subarray(0, bytes.length >> 1))
    })
  },
  F22: async () => {
    const half = gzipSync(await jpeg(200, 200))
    const cut = half.subarray(0, half.length >> 1)
    await comesTo(502, (socket, asked) => {
      expect(asked.toLowerCase()).toContain('accept-encoding: identity')
      socket.end(
        Buffer.concat([Buffer.from(head(`Content-Encoding: gzip\r\nContent-Length: ${cut.length}`)), cut]),
      )
    })
  },
  F23: async () => {
    const bytes = await jpeg(60, 40)
    for (const announced of [0, 10])
      await comesTo(502, (socket) =>
        socket.end(Buffer.concat([Buffer.from(head(`Content-Length: ${announced}`)), bytes])),
      )
  },
  F24: async () => {
    const bomb = gzipSync(Buffer.alloc(300_000_000))
    const before = process.memoryUsage.rss()
    // Decoded under the bound of bytes, which it is over.
    await comesTo(413, (socket) =>
      socket.end(
        Buffer.concat([Buffer.from(head(`Content-Encoding: gzip\r\nContent-Length: ${bomb.length}`)), bomb]),
      ),
    )
    expect(process.memoryUsage.rss() - before).toBeLessThan(150_000_000)
  },
  F25: async () => {
    const { ask, path, artwork, sockets } = await wire(
      (socket) => {
        socket.write(head('Connection: close'))
        const piece = Buffer.alloc(65_536)
        const pour = (): void => {
          while (!socket.destroyed && socket.write(piece));
          if (!socket.destroyed) socket.once('drain', pour)
        }
        pour()
      },
      { fetch: { maxBytes: 1_000_000 } },
    )
    expect((await ask(path)).status).toBe(413)
    expect(artwork.images.stats().names).toBe(0)
    await eventually(() => expect(sockets.size).toBe(0))
  },
  F26: async () => {
    const picture = await png(40, 40)
    for (const [type, body, status] of [
      ['text/html', picture, 415],
      ['image/png', Buffer.from('<html>'), 415],
      ['image/gif', picture, 200],
    ] as const)
      expect((await (await withPoster('Express', {}, image(body, type))).ask(POSTER)).status).toBe(status)
  },
  F27: async () => {
    for (const status of [500, 502, 503, 504]) {
      const { ask, origin, clock } = await withPoster('Express')
      expect((await ask(POSTER)).status).toBe(200)
      origin.fail(status)
      clock.now += 12 * 86_400_000
      expect((await ask(POSTER)).status).toBe(200)
      const other = POSTER.replace('x.jpg', 'y.jpg')
      const waits = [10, 20, 40, 80, 160, 300, 300]
      for (const wait of waits) {
        const asked = origin.hits(tmdbPath(other))
        expect((await ask(other)).status).toBe(502)
        clock.now += (wait - 1) * 1000
        expect((await ask(other)).status).toBe(502)
        expect(origin.hits(tmdbPath(other)) - asked, `${wait} s`).toBe(1)
        clock.now += 2000
      }
    }
  },
  F28: async () => {
    for (const [text, seconds] of [
      ['120', 120],
      ['date', 120],
      ['999999', 300],
      ['garbage', 60],
    ] as const) {
      const { ask, origin, clock } = await withPoster('Express', {}, (_req, res) => {
        const value = text === 'date' ? new Date(clock.now + 120_000).toUTCString() : text
        res.writeHead(429, { 'Retry-After': value }).end()
      })
      expect((await ask(POSTER)).status).toBe(502)
      clock.now += (seconds - 2) * 1000
      expect((await ask(POSTER)).status).toBe(502)
      expect(origin.hits(), text).toBe(1)
      clock.now += 4000
      await ask(POSTER)
      expect(origin.hits(), text).toBe(2)
    }
  },
  F29: async () => {
    for (const [upstream, seconds] of [
      [404, 300],
      [410, 3600],
    ] as const) {
      const { ask, origin, clock } = await withPoster('Express', {}, { status: upstream })
      for (const after of [0, seconds - 1]) {
        clock.now += after * 1000
        expect((await ask(POSTER)).status).toBe(404)
      }
      expect(origin.hits()).toBe(1)
      clock.now += 2000
      expect((await ask(POSTER)).status).toBe(404)
      expect(origin.hits()).toBe(2)
    }
  },
  F30: async () => {
    let reached = 0
    const inside = await listen((_req, res) => {
      reached += 1
      res.end('inside')
    })
    const to = (location: string | ((req: string) => string)) => async (): Promise<number> => {
      const { ask, origin } = await stage('Express')
      origin.serve('/a.jpg', (req, res) => {
        const next = typeof location === 'string' ? location : location(req.url ?? '')
        res.writeHead(302, { Location: next }).end()
      })
      return (await ask(`/images/${remoteAddress(`${origin.url}/a.jpg`)}`)).status
    }
    expect(await to('/a.jpg')()).toBe(502)
    expect(await to(`${inside.url}/x.jpg`)()).toBe(403)
    expect(await to('file:///etc/passwd')()).toBe(403)
    expect(await to('http://169.254.169.254/latest')()).toBe(403)
    expect(await to('http://[')()).toBe(502)
    expect(reached).toBe(0)
  },
  F31: async () => {
    const answer = async (lookup: NonNullable<NonNullable<ArtworkOptions['fetch']>['lookup']>) => {
      const set = await stage('Express', {
        sources: [remote({ hosts: ['images.example.com'] })],
        fetch: { lookup, connectTimeout: 200, totalTimeout: 1000 },
      })
      const path = `/images/${remoteAddress('http://images.example.com/a.jpg')}`
      return [(await set.ask(path)).status, (await set.ask(path)).status]
    }
    let asked = 0
    const fails =
      (code: string) => (_host: string, _options: object, done: (error: Error, found: never[]) => void) => {
        asked += 1
        done(Object.assign(new Error(code), { code }), [])
      }
    expect(await answer(fails('ENOTFOUND') as never)).toEqual([502, 502])
    expect(asked).toBe(1)
    expect(await answer(fails('EAI_AGAIN') as never)).toEqual([502, 502])
    expect(await answer((() => {}) as never)).toEqual([504, 504])
    const rebinding = ((_host: string, _options: object, done: (error: null, found: object[]) => void) =>
      done(null, [
        { address: '93.184.215.14', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ])) as never
    expect(await answer(rebinding)).toEqual([403, 403])
  },
  F32: async () => {
    for (const name of ['self-signed', 'expired']) {
      const read = (kind: string) => readFileSync(new URL(`../data/tls/${name}.${kind}`, import.meta.url))
      let served = 0
      const server = createTlsServer({ key: read('key'), cert: read('crt') }, (_req, res) => {
        served += 1
        res.end()
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      atEnd(async () => void server.close())
      const address = server.address()
      const host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
      const { ask } = await stage('Express', { fetch: { allowPrivate: [host] } })
      expect((await ask(`/images/${remoteAddress(`https://${host}/a.jpg`)}`)).status).toBe(502)
      expect(served).toBe(0)
    }
  },
  F33: async () => {
    const { ask, origin } = await withPoster('Express', { transform: { isolate: true, timeout: 8000 } })
    // Other bytes each: what was made of the same ones would be answered for both.
    origin.serve('/t/p/w500/y.jpg', image(await jpeg(900, 900)))
    origin.serve('/t/p/w500/z.jpg', image(await jpeg(901, 900)))
    expect((await ask('/images/poster/w500-webp/x.jpg')).status).toBe(200)
    const child = decoder()
    process.kill(child, 'SIGSTOP')
    const [y, z] = await Promise.all(['y', 'z'].map((name) => ask(`/images/poster/w500-webp/${name}.jpg`)))
    expect([y?.status, z?.status].sort()).toEqual([200, 504])
    expect((await ask('/images/poster/w500-png/x.jpg')).status).toBe(200)
  },
  F34: async () => {
    const { ask, origin, artwork } = await withPoster('Express')
    const answers = await Promise.all(
      Array.from({ length: 1000 }, () => ask('/images/poster/w500-webp/x.jpg')),
    )
    expect(new Set(answers.map(({ status, headers }) => `${status} ${headers.etag}`)).size).toBe(1)
    expect(answers[0]?.status).toBe(200)
    expect(origin.hits()).toBe(1)
    expect(artwork.images.stats().requests.encodes).toBe(1)
  },
  F35: async () => {
    const set = await stage('Express', { transform: { isolate: true, concurrency: 2, queue: 10 } })
    const { url } = await listen(express().use(set.artwork.healthRouter))
    const bytes = await jpeg(900, 600)
    const many = Array.from({ length: isFull ? 1000 : 150 }, (_, index) => index)
    // Other bytes each: the same ones would be made once.
    for (const index of many)
      set.origin.serve(`/t/p/w500/k${index}.jpg`, image(Buffer.concat([bytes, Buffer.from(`${index}`)])))
    const health: number[] = []
    let isOver = false
    const watch = (async () => {
      while (!isOver) health.push((await fetch(`${url}/health`)).status)
    })()
    const answers = await Promise.all(many.map((index) => set.ask(`/images/poster/w500-webp/k${index}.jpg`)))
    isOver = true
    await watch
    const statuses = new Set(answers.map(({ status }) => status))
    expect([...statuses].sort()).toEqual([200, 503])
    for (const { status, headers } of answers)
      if (status === 503) expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    expect(new Set(health)).toEqual(new Set([200]))
  },
  F36: async () => {
    const bytes = Buffer.concat([await jpeg(60, 40), Buffer.alloc(4_000_000)])
    const { ask, url, origin } = await withPoster('Express', {}, image(bytes))
    await ask(POSTER)
    const open = () => readdirSync('/proc/self/fd').length
    const before = open()
    const { port } = new URL(url)
    for (let index = 0; index < 50; index += 1)
      await new Promise<void>((resolve) => {
        const socket = connect(Number(port), '127.0.0.1', () =>
          socket.write(`GET ${POSTER} HTTP/1.1\r\nHost: x\r\n\r\n`),
        )
        socket.once('data', () => socket.destroy())
        socket.once('close', () => resolve())
        socket.on('error', () => {})
      })
    await eventually(() => expect(open()).toBeLessThanOrEqual(before + 3))
    // One goes, another waits: the fetch goes on.
    origin.serve('/t/p/w500/y.jpg', (_req, res) => {
      setTimeout(() => res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(bytes), 300)
    })
    const path = POSTER.replace('x.jpg', 'y.jpg')
    const leaves = connect(Number(port), '127.0.0.1', () =>
      leaves.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`),
    )
    await eventually(() => expect(origin.hits('/t/p/w500/y.jpg')).toBe(1))
    const stays = ask(path)
    await sleep(50)
    leaves.destroy()
    expect((await stays).status).toBe(200)
    expect(origin.hits('/t/p/w500/y.jpg')).toBe(1)
  },
  F37: async () => {
    const set = await withPoster(
      'Express',
      { transform: { isolate: true, concurrency: 1 } },
      image(await jpeg(3000, 2000)),
    )
    await set.ask(POSTER)
    const { port } = new URL(set.url)
    process.kill(decoder(), 'SIGSTOP')
    const slow = set.ask('/images/poster/w500-png/x.jpg')
    await eventually(() => expect(set.artwork.images.stats().requests.encodes).toBe(1))
    const goes = connect(Number(port), '127.0.0.1', () =>
      goes.write('GET /images/poster/w500-gif/x.jpg HTTP/1.1\r\nHost: x\r\n\r\n'),
    )
    await eventually(() => expect(set.artwork.images.stats().requests.encodes).toBe(2))
    goes.destroy()
    await sleep(200)
    process.kill(decoder(), 'SIGCONT')
    expect((await slow).status).toBe(200)
    expect((await set.ask('/images/poster/w500-webp/x.jpg')).status).toBe(200)
    // What nobody waited for was not made.
    expect(set.artwork.images.stats().names).toBe(3)
  },
  F38: async () => {
    const example = await startExample({
      PORT: '0',
      CDN_PORT: String(await freePort()),
      DATA_DIR: await temporaryFolder(),
      WARM_DELAY: '600000',
    })
    const film = /href="(\/films\/[a-z0-9]+)"/.exec(await (await fetch(`${example.url}/films`)).text())?.[1]
    const page = await (await fetch(example.url + film)).text()
    const poster = /\/t\/p\/[a-z0-9]+\/([a-z0-9]+p\.jpg)/.exec(page)?.[1]
    const under = ['png', 'webp', 'gif', 'jpeg'].map((format) =>
      ask(example.url.replace('localhost', '127.0.0.1'), `/images/poster/w780-${format}/${poster}`).then(
        ({ status }) => status,
        (error) => error.code,
      ),
    )
    await sleep(150)
    // Connections are taken in their order: those before this one, which is new, have been.
    await ask(example.url.replace('localhost', '127.0.0.1'), '/health')
    const stopped = example.stop()
    for (const status of await Promise.all(under)) expect([200, 503]).toContain(status)
    expect(await stopped).toBe(0)
    await expect(fetch(`${example.url}/health`)).rejects.toThrow()
    expect(example.out() + example.err()).not.toMatch(/unhandled|Error:/i)
    // At a second signal, it does not wait for what is under way.
    const hasty = await startExample({
      PORT: '0',
      CDN_PORT: String(await freePort()),
      DATA_DIR: await temporaryFolder(),
      WARM_DELAY: '600000',
    })
    await fetch(`${hasty.url}/panel/speed`, { method: 'POST', redirect: 'manual' })
    void fetch(`${hasty.url}/images/poster/w780-png/${poster}`).catch(() => {})
    await sleep(300)
    void hasty.stop()
    await sleep(50)
    expect(await hasty.stop()).toBe(1)
  },
  F39: async () => {
    const warnings: Error[] = []
    const note = (warning: Error): void => void warnings.push(warning)
    process.on('warning', note)
    const bytes = await jpeg(300, 200)
    const odd = Buffer.concat([bytes, Buffer.alloc(2000, 7)])
    const { ask } = await withPoster('Express', { transform: { isolate: true } }, image(odd))
    expect((await ask(POSTER)).status).toBe(200)
    const cut = await withPoster('Express', {}, image(bytes.subarray(0, bytes.length - 200)))
    expect((await cut.ask(POSTER)).status).toBe(422)
    process.off('warning', note)
    expect(warnings.filter(({ name }) => !/Experimental|Deprecation/.test(name))).toEqual([])
  },
  F40: async () => {
    const directory = await temporaryFolder()
    const sources = [uploads({ authorize: () => true, bodyTimeout: 1 })]
    const { url } = await stage('Express', { directory, sources })
    const bytes = await jpeg(300, 200)
    const begin = async (length: number, body: Buffer): Promise<Socket> => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1')
      socket.on('error', () => {})
      socket.write(
        `POST /images/photos HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: ${length}\r\n\r\n`,
      )
      socket.write(body)
      return socket
    }
    const answerOf = (socket: Socket): Promise<string> =>
      new Promise((resolve) => {
        let text = ''
        socket.on('data', (piece) => {
          text += piece
          resolve(text)
        })
        socket.on('close', () => resolve(text))
      })
    const files = (): string[] =>
      (readdirSync(join(directory, 'uploads'), { recursive: true, encoding: 'utf8' }) as string[]).filter(
        (name) => /^(?:files|coming)\/.*\./.test(name),
      )
    const aborted = await begin(bytes.length, bytes.subarray(0, 500))
    await sleep(100)
    aborted.destroy()
    const short = await begin(bytes.length + 10, bytes)
    short.end()
    expect(await answerOf(short)).not.toMatch(/^HTTP\/1\.1 200/)
    expect(await answerOf(await begin(0, Buffer.alloc(0)))).toMatch(/^HTTP\/1\.1 400/)
    expect(await answerOf(await begin(10_000_000_000, bytes))).toMatch(/^HTTP\/1\.1 413/)
    expect(await answerOf(await begin(bytes.length, bytes.subarray(0, 500)))).toMatch(/^HTTP\/1\.1 408/)
    expect(files()).toEqual([])
    const listed = await ask(url, '/images/photos')
    expect(JSON.parse(listed.body.toString())).toEqual({ images: [], next: null })
    expect(await answerOf(await begin(bytes.length, bytes))).toMatch(/^HTTP\/1\.1 200/)
    expect(files().length).toBe(1)
  },
  F41: async () => {
    for (const isolate of [false, true]) await withFewDescriptors(isolate)
  },
  F42: async () => {
    const directory = await temporaryFolder()
    const one = await fleet.take()
    await one.order('open', { directory, maxBytes: 1024 ** 2, maxNames: 1000 })
    const names = Array.from({ length: 200 }, (_, index) => `o/${index}`)
    const report = await one.order('load', {
      seed: 3,
      names,
      concurrency: 8,
      operations: 800,
      maxSize: 100_000,
    })
    expect(report.errors).toEqual([])
    expect((await one.order('stats')).bytes).toBeLessThanOrEqual(1024 ** 2)
    expect((await one.order('stats')).evictions).toBeGreaterThan(50)
    await one.order('close')
    expect(differences(directory)).toEqual([])
    await one.kill()
  },
  F43: async () => {
    const { ask, artwork } = await withPoster('Express')
    const versions = await Promise.all([1, 2, 3].map((seed) => jpeg(500, 300, seed)))
    await ask(POSTER)
    let isOver = false
    const reader = (async () => {
      while (!isOver) {
        const { status, body } = await ask(POSTER)
        expect(status).toBe(200)
        expect(versions.some((version) => version.equals(body)) || body.length > 0).toBe(true)
        expect(body.subarray(-2)).toEqual(Buffer.from([0xff, 0xd9]))
      }
    })()
    for (let round = 0; round < 30; round += 1) {
      const version = versions[round % 3] ?? Buffer.alloc(0)
      await artwork.images.put('poster/w500/x.jpg', version)
      expect((await ask(POSTER)).body.equals(version)).toBe(true)
    }
    isOver = true
    await reader
  },
  F44: async () => {
    const bytes = await jpeg(60, 40)
    const upstream = spawn(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `import { createServer } from 'node:http'
         const body = Buffer.from('${bytes.toString('base64')}', 'base64')
         const server = createServer((req, res) => setTimeout(() => res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(body), 100))
         server.listen(0, '127.0.0.1', () => console.log(server.address().port))`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    atEnd(async () => void upstream.kill('SIGKILL'))
    const port = String(await new Promise((resolve) => upstream.stdout.once('data', resolve))).trim()
    const { ask } = await stage('Express', {
      fetch: { allowPrivate: [`127.0.0.1:${port}`], firstByteTimeout: 500, idleTimeout: 500 },
    })
    const answer = ask(`/images/${remoteAddress(`http://127.0.0.1:${port}/a.jpg`)}`)
    await sleep(60)
    const until = performance.now() + 2000
    while (performance.now() < until);
    expect((await answer).status).toBe(200)
  },
}

test('every fault has its test, or its reason', () => {
  for (const { id } of items) expect(tests[id], id).toBeDefined()
  for (const id of Object.keys(tests)) expect(items.map((item) => item.id)).toContain(id)
})

/** Faults that need a file system of their own. */
const MOUNTED = ['F04', 'F05', 'F06', 'F07']
describe('faults', () => {
  for (const { id, fault } of items.filter((item) => tests[item.id] !== undefined)) {
    if (MOUNTED.includes(id) && !canMount)
      test(`${id}: NOT TESTED HERE: this machine lets nobody mount a file system (root in CI does)`, () => {})
    else test(`${id}: ${fault}`, async () => tests[id]?.(), 60_000)
  }
})
