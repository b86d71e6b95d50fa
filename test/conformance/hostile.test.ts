/** Every case of the hostile lists: URLs against the guard, with its stub DNS; paths over raw sockets, with a sentinel. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { connect, isIP, type LookupFunction, Socket } from 'node:net'
import { join } from 'node:path'
import { remote, signAddress } from 'express-artwork'
import { describe, expect, test, vi } from 'vitest'
import { createFetcher } from '#src/fetch/fetcher.js'
import { checkUrl, type GuardOptions, guardedLookup } from '#src/fetch/ssrf-guard.js'
import { ArtworkError } from '#src/model/failure.js'
import { hostRule } from '#src/sources/host-rules.js'
import { png } from '../support/images.js'
import { image } from '../support/origin.js'
import { listen, startApp } from '../support/toolkit.js'

interface UrlCase {
  readonly id: string
  readonly url: string
  readonly verdict: 'allow' | 'refuse'
  readonly reason: string
  readonly dns?: Record<string, string[]>
  readonly dnsSequence?: Record<string, string[][]>
  readonly redirects?: readonly { location: string }[]
  readonly loop?: boolean
  readonly flag?: string
  readonly policy?: string
  readonly self?: string
}
interface PathCase {
  readonly id: string
  readonly target: string
  readonly expect: 'allow' | 'refuse' | 'either'
  readonly reason: string
}
/** Public addresses that cases name themselves. */
const PUBLIC_LITERALS = ['8.8.8.8', '2606:4700:4700::1111', '172.32.0.1', '100.128.0.1', '192.167.255.255']
const read = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../data/hostile/${name}`, import.meta.url), 'utf8'))
const urls = read<{
  cases: UrlCase[]
  defaultPolicy: { maxRedirects: number; allowlistForPolicyAllowlist: string[] }
}>('ssrf-urls.json')
const paths = read<{ cases: PathCase[] }>('path-traversal.json')

/** Resolves a name by the case's own table; the n-th question has the n-th answer of a sequence. */
function stubLookup({ dns = {}, dnsSequence = {} }: UrlCase): LookupFunction {
  const asked = new Map<string, number>()
  return (hostname, _options, callback) => {
    const time = asked.get(hostname) ?? 0
    asked.set(hostname, time + 1)
    const answers =
      dnsSequence[hostname]?.[Math.min(time, (dnsSequence[hostname]?.length ?? 1) - 1)] ??
      dns[hostname] ??
      dns['*']
    if (answers === undefined || answers.length === 0)
      callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), [])
    else
      callback(
        null,
        answers.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )
  }
}

/** The addresses that would be dialled, hop after hop. @throws where a hop is refused */
async function dialled(subject: UrlCase): Promise<string[]> {
  const options: GuardOptions = {
    ports: [80, 443],
    allowIpLiterals: subject.flag === 'allowIpLiterals',
    allowPrivate: [],
    publicOrigins: subject.self === undefined ? [] : [`http://${subject.self}`, `https://${subject.self}`],
  }
  const rules = urls.defaultPolicy.allowlistForPolicyAllowlist.map(hostRule)
  const admits = (url: URL) => subject.policy !== 'allowlist' || rules.some((rule) => rule(url))
  const lookup = guardedLookup(stubLookup(subject))
  const resolve = (host: string) =>
    new Promise<string[]>((done, fail) => {
      lookup(host, { all: true }, (error, found) => {
        if (error) fail(error)
        else done(Array.isArray(found) ? found.map(({ address }) => address) : [found])
      })
    })
  let url = checkUrl(subject.url, options, admits)
  const seen: string[] = []
  for (let hop = 0; ; hop += 1) {
    const literal = url.hostname.replace(/^\[|\]$/g, '')
    seen.push(...(/^[\d.]+$|:/.test(literal) ? [literal] : await resolve(url.hostname)))
    const next = subject.redirects?.[subject.loop ? 0 : hop]
    if (next === undefined) return seen
    if (hop >= urls.defaultPolicy.maxRedirects) throw new ArtworkError('bad_answer', 'too many redirects')
    url = checkUrl(next.location, options, admits, url)
  }
}

describe('hostile URLs', () => {
  test.each(urls.cases.map((subject) => [subject.id, subject.verdict, subject.reason, subject] as const))(
    '%s %s: %s',
    async (id, verdict, _reason, subject) => {
      const outcome = await dialled(subject).catch((error: unknown) =>
        error instanceof Error ? error : new Error(String(error)),
      )
      if (subject.dnsSequence !== undefined) {
        // Rebinding: there is one resolution, and its answer is what is dialled.
        expect(Array.isArray(outcome) ? outcome : [], id).not.toContain('127.0.0.1')
        return
      }
      if (verdict === 'allow') expect(outcome, id).toBeInstanceOf(Array)
      else {
        expect(outcome, id).toBeInstanceOf(Error)
        const code = outcome instanceof Error && 'code' in outcome ? String(outcome.code) : ''
        expect(
          ['refused', 'undialable', 'invalid', 'bad_answer', 'EREFUSEDADDRESS', 'ENOTFOUND'],
          `${id}: ${code}`,
        ).toContain(code)
      }
    },
  )
})

/**
 * The same through the real fetcher. A connection is made as the agents make it, by their guarded look-up; what is
 * public ends at a server that plays the case's redirects, and everything else at a listener that counts.
 */
describe('hostile URLs, fetched', () => {
  test.each(urls.cases.map((subject) => [subject.id, subject.verdict, subject.reason, subject] as const))(
    '%s %s: %s',
    async (id, verdict, _reason, subject) => {
      const picture = await png()
      let step = 0
      const world = await listen((_req, res) => {
        const next = subject.redirects?.[subject.loop ? 0 : step]
        step += 1
        if (next === undefined) res.writeHead(200, { 'Content-Type': 'image/png' }).end(picture)
        else res.writeHead(302, { Location: next.location }).end()
      })
      let reached = 0
      const decoy = await listen((_req, res) => void res.end('the inside'))
      decoy.server.on('connection', () => {
        reached += 1
      })
      const connectAs = (options: { host?: string | null; lookup?: LookupFunction }): Socket => {
        const socket = new Socket()
        const dial = (address: string): void => {
          const isWorld = ['93.184.215.14', ...PUBLIC_LITERALS].includes(address)
          socket.connect(Number(new URL(isWorld ? world.url : decoy.url).port), '127.0.0.1')
        }
        const host = (options.host ?? '').replace(/^\[|\]$/g, '')
        if (isIP(host) !== 0) dial(host)
        else
          options.lookup?.(host, {}, (error, address) => {
            if (error) setImmediate(() => socket.destroy(error))
            else dial(Array.isArray(address) ? (address[0]?.address ?? '') : address)
          })
        return socket
      }
      for (const agent of [HttpAgent, HttpsAgent])
        vi.spyOn(agent.prototype, 'createConnection').mockImplementation(connectAs as never)
      const self = subject.self
      const fetcher = createFetcher({
        ports: [80, 443],
        allowIpLiterals: subject.flag === 'allowIpLiterals',
        allowPrivate: [],
        publicOrigins: self === undefined ? [] : [`http://${self}`, `https://${self}`],
        maxBytes: 1e6,
        connectTimeout: 3000,
        firstByteTimeout: 3000,
        idleTimeout: 3000,
        minBytesPerSecond: 0,
        totalTimeout: 5000,
        retries: 0,
        maxRedirects: urls.defaultPolicy.maxRedirects,
        maxSockets: 5,
        perHost: 5,
        userAgent: 'test',
        via: 'test',
        lookup: stubLookup(subject),
        now: Date.now,
      })
      const rules = urls.defaultPolicy.allowlistForPolicyAllowlist.map(hostRule)
      const admits = (url: URL) => subject.policy !== 'allowlist' || rules.some((rule) => rule(url))
      const outcome = await fetcher.fetch({ url: subject.url, admits }).catch((error: unknown) => error)
      fetcher.close()
      expect(reached, `${id}: connections inside`).toBe(0)
      if (verdict === 'allow' || subject.dnsSequence !== undefined)
        expect(outcome, id).toMatchObject({ outcome: 'image', kind: 'png' })
      else expect([400, 403, 502], `${id}: ${outcome}`).toContain((outcome as ArtworkError).status)
    },
  )
})

/**
 * The client's own text over HTTP, signed, at a source that is open to every host: every name resolves to a public address,
 * behind which something answers, so that nothing but the product can refuse.
 */
describe('hostile URLs, as ids (mended 18)', () => {
  const plain = urls.cases.filter(({ dns, dnsSequence, redirects, loop, flag, policy, self }) =>
    [dns, dnsSequence, redirects, loop, flag, policy, self].every((one) => one === undefined),
  )
  const MORE = [
    'http://images.example.com\\@127.0.0.1/a.png',
    'http://images.example.com/a%0d%0aHost:%20evil',
    'http://images.example.com/a.png?x=%0aX-Injected:1',
    'http://images.example.com/%00.png',
    'http://images.example.com/a\r\nX: y.png',
    'http://images.example.com/a\tb.png',
    ' http://images.example.com/a.png',
    'http://images.example.com/a.png\n',
    'http://images.example.com/%7f',
  ].map((url, index): UrlCase => ({ id: `M${index}`, url, verdict: 'refuse', reason: 'raw text' }))
  test('what is to be refused is refused before a name is resolved, and nothing is dialled', async () => {
    const picture = await png()
    const world = await listen(
      (_req, res) => void res.writeHead(200, { 'Content-Type': 'image/png' }).end(picture),
    )
    const dialledHosts: string[] = []
    const open = ((options: { host?: string }) => {
      dialledHosts.push(options.host ?? '')
      const socket = new Socket()
      socket.connect(Number(new URL(world.url).port), '127.0.0.1')
      return socket
    }) as never
    for (const agent of [HttpAgent, HttpsAgent])
      vi.spyOn(agent.prototype, 'createConnection').mockImplementation(open)
    const asked: string[] = []
    const key = 'a-signing-key-of-some-length'
    const app = await startApp({
      transform: { isolate: false },
      sources: [remote({ hosts: ['*'] })],
      signing: { keys: [key] },
      fetch: {
        allowPrivate: [],
        lookup: (host, _options, callback) => {
          asked.push(host)
          callback(null, [{ address: '93.184.215.14', family: 4 }])
        },
      },
    })
    const wrong: string[] = []
    for (const { id, url, verdict } of [...plain, ...MORE]) {
      const path = `/images/remote/original/${Buffer.from(url).toString('base64url')}`
      const before = [asked.length, dialledHosts.length]
      const { status } = await app.get(signAddress(path, key))
      const isRefused = status === 400 || status === 403
      if (
        verdict === 'refuse' &&
        !(isRefused && asked.length === before[0] && dialledHosts.length === before[1])
      )
        wrong.push(`${id} ${status} ${JSON.stringify(url)}`)
    }
    expect(wrong).toEqual([])
    expect(plain.length).toBeGreaterThan(40)
  })
})

test('our own origin by another scheme, with a root dot, or its port written out (mended 18)', () => {
  const options = { ports: [80, 443, 8080], allowIpLiterals: false, allowPrivate: [] }
  const judge = (own: string, url: string): string => {
    try {
      checkUrl(url, { ...options, publicOrigins: [own] }, () => true)
      return 'asked'
    } catch (error) {
      return (error as ArtworkError).message
    }
  }
  const own = 'this is our own address'
  for (const url of [
    'https://a.example/x',
    'http://a.example/x',
    'http://A.EXAMPLE./x',
    'https://a.example.:443/',
    'http://a.example:443/',
  ])
    expect([url, judge('https://a.example', url)]).toEqual([url, own])
  for (const url of ['http://a.example:8080/', 'https://a.example.:8080/x'])
    expect([url, judge('http://a.example:8080', url)]).toEqual([url, own])
  for (const url of ['https://b.example/', 'https://x.a.example/', 'http://a.example:8080/'])
    expect([url, judge('https://a.example', url)]).toEqual([url, 'asked'])
})

/** Sends a request target as it is: clients normalise, sockets do not. */
const raw = (port: number, target: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
    )
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
    socket.on('error', reject)
  })

describe('hostile paths', () => {
  test('every case over a raw socket: no sentinel, no redirect, no 5xx, no upstream request', async () => {
    const app = await startApp()
    const { origin, artwork, directory } = app
    const webp = await png()
    for (const path of ['/t/p/original/ok.webp', '/t/p/w500/ok.webp', '/a.png'])
      origin.serve(path, image(webp, 'image/webp'))
    for (const entityId of ['abok', '001234ab-cdef-5678-90ab-cdefabcd1234'])
      await artwork.images.downloadAndCache({
        sourceUrl: `${origin.url}/a.png`,
        entityType: entityId === 'abok' ? 'artist' : 'album',
        entityId,
      })
    await artwork.images.getImage('poster/original/ok.webp')
    await artwork.images.getImage('poster/w500/ok.webp')
    writeFileSync(join(directory, 'secret.txt'), 'SENTINEL-7f3a')
    mkdirSync(join(directory, 'local-secret'))
    writeFileSync(join(directory, 'local-secret', 'secret.txt'), 'SENTINEL-7f3a')
    for (const folder of ['local', 'artwork', 'store-v2']) {
      mkdirSync(join(directory, folder), { recursive: true })
      writeFileSync(join(directory, folder, '.env'), 'SENTINEL-7f3a')
      symlinkSync('../secret.txt', join(directory, folder, 'link-out.webp'))
      symlinkSync('../local-secret', join(directory, folder, 'linkdir'))
    }
    const before = origin.hits()
    const port = Number(new URL(app.url).port)
    const wrong: string[] = []
    for (const subject of paths.cases) {
      const answer = await raw(port, subject.target)
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
      const refused = [400, 403, 404, 414, 431].includes(status)
      const fine =
        subject.expect === 'allow'
          ? status === 200
          : subject.expect === 'either'
            ? refused || status === 200
            : refused
      if (!fine || answer.includes('SENTINEL'))
        wrong.push(`${subject.id} ${subject.target.slice(0, 80)}: ${status}`)
    }
    expect(wrong).toEqual([])
    expect(origin.hits()).toBe(before)
    expect(paths.cases.length).toBeGreaterThan(100)
  })

  test('traversal by every spelling is 4xx with no upstream request (parity 9)', async () => {
    const app = await startApp()
    const port = Number(new URL(app.url).port)
    for (const id of [
      '..%2f..%2fetc%2fpasswd',
      '%2e%2e/a.jpg',
      '../a.jpg',
      'a\\b.jpg',
      '..%5c..%5ca.jpg',
      'a%00.jpg',
      'a%2fb.jpg',
      '%252e%252e%252fa.jpg',
    ]) {
      const status = Number((await raw(port, `/images/poster/w342/${id}`)).slice(9, 12))
      expect([400, 403, 404], `${id}: ${status}`).toContain(status)
    }
    expect(app.origin.hits()).toBe(0)
  })
})
