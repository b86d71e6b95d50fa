/** The service (PARITY 37, 38): a process of its own, configured by environment variables alone. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createServer as createHttpsServer } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { optionsFromEnv } from 'express-artwork'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { runCli, startService } from '../support/child-process.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { httpProxy } from '../support/proxies.js'
import { anOrigin, atEnd, temporaryFolder } from '../support/toolkit.js'

const TOKEN = 'correct horse'.replace(' ', '-')
const auth = { Authorization: `Bearer ${TOKEN}` }
const post = (body: unknown, headers: Record<string, string> = auth): RequestInit => ({
  method: 'POST',
  headers: { 'Content-Type': 'application/json', ...headers },
  body: JSON.stringify(body),
})

describe('settings by environment (parity 38)', () => {
  test('the documented names set what they say (parity 38)', () => {
    const options = optionsFromEnv({
      UPLOADS_PATH: '/srv/uploads',
      MAX_UPLOAD_SIZE: '900',
      MAX_FETCH_SIZE: '700',
      MAX_FETCH_BYTES: '5000',
      FETCH_TIMEOUT: '2.5',
      PROXIES: '{"foreign": ["http://p1:8080"]}',
      PROXY_STRATEGY: 'random',
      FETCH_MAX_RETRIES: '1',
      PROXY_BLACKLIST_THRESHOLD: '5',
      PROXY_BLACKLIST_TTL: '30.5',
      ARTWORK_DISK_MAX_BYTES: '1 GiB',
      ARTWORK_WIDTHS: '320, 640',
      ARTWORK_STRICT: 'false',
      ARTWORK_FETCH_PORTS: '80,8080',
      ARTWORK_SIGNING_KEYS: 'a-key-of-sixteen-characters,another-of-sixteen-characters',
      ARTWORK_PRESETS: '{"tiny":{"width":10}}',
      ARTWORK_TMDB: 'true',
      ARTWORK_REMOTE_HOSTS: 'cdn.example.com, *.example.org',
    })
    expect(options).toMatchObject({
      fetch: {
        maxBytes: 5000,
        retries: 1,
        firstByteTimeout: 2500,
        idleTimeout: 2500,
        totalTimeout: 5000,
        ports: [80, 8080],
        proxies: {
          pools: { foreign: ['http://p1:8080'] },
          strategy: 'random',
          restAfter: 5,
          restFor: 30_500,
        },
      },
      disk: { maxBytes: '1 GiB' },
      widths: [320, 640],
      strict: false,
      presets: { tiny: { width: 10 } },
    })
    // What Kubernetes sets beside a service of that name is no mistake; digits are a key, and a flag may be a word.
    const odd = {
      ARTWORK_SERVICE_HOST: '10.0.0.1',
      ARTWORK_PORT_80_TCP: 'x',
      ARTWORK_CACHE_TAGS: 'xkey',
      ARTWORK_SIGNING_KEYS: '12345678901234567890',
    }
    expect(optionsFromEnv(odd)).toMatchObject({
      cacheTags: 'xkey',
      signing: { keys: ['12345678901234567890'] },
    })
    expect(options.sources?.map(({ name }) => name)).toEqual(['tmdb', 'remote', 'uploads'])
  })
  test.each([
    ['MAX_UPLOAD_SIZE', 'big', /MAX_UPLOAD_SIZE must be a whole number.*"big"/],
    ['MAX_UPLOAD_SIZE', '20000', /MAX_UPLOAD_SIZE.*16383.*20000/],
    ['MAX_FETCH_BYTES', '-1', /MAX_FETCH_BYTES must be .*"-1"/],
    ['FETCH_TIMEOUT', 'soon', /FETCH_TIMEOUT must be a number of seconds, got "soon"/],
    ['FETCH_TIMEOUT', '0', /FETCH_TIMEOUT must be/],
    ['PROXIES', '{"a":"short-secret"', /PROXIES must be JSON, got a text that may hold secrets/],
    ['PROXIES', '{"a":"http://p"}', /PROXIES .*array/],
    ['PROXY_STRATEGY', 'fastest', /PROXY_STRATEGY .*round-robin.*"fastest"/],
    ['ARTWORK_STRICT', 'maybe', /ARTWORK_STRICT must be true or false, got "maybe"/],
    ['ARTWORK_DISK_MAX_BYTES', 'lots', /ARTWORK_DISK_MAX_BYTES .*"lots"/],
    ['ARTWORK_WIDTHS', '1,x', /ARTWORK_WIDTHS .*"1,x"/],
    [
      'ARTWORK_SIGNING_KEYS',
      'short-secret',
      /ARTWORK_SIGNING_KEYS .*16 characters.*got a text that may hold secrets/,
    ],
    ['ARTWORK_REMOTE_HOSTS', 'a b', /ARTWORK_REMOTE_HOSTS: hosts must be .*"a b"/],
    ['ARTWORK_NAMESPACES', '_avatars', /ARTWORK_NAMESPACES: .*beginning with a letter or digit.*"_avatars"/],
    ['ARTWORK_UNKNOWN', 'x', /ARTWORK_UNKNOWN is no variable/],
  ])('%s=%s is refused with its name, the rule and the value (parity 38)', (name, value, message) => {
    expect(() => optionsFromEnv({ [name]: value })).toThrow(message)
    try {
      optionsFromEnv({ [name]: value })
    } catch (error) {
      expect(String(error)).not.toContain('short-secret')
    }
  })
  test('a bad value stops the start, several are reported at once, and no password is repeated (parity 38)', async () => {
    const { code, out, err } = await runCli(['serve'], {
      MAX_UPLOAD_SIZE: 'big',
      FETCH_MAX_RETRIES: 'x',
      PROXIES: '{"a":["ftp://user:hunter2@proxy.example.com"]}',
      PORT: '0',
    })
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/MAX_UPLOAD_SIZE .*"big"/)
    expect(err).toMatch(/FETCH_MAX_RETRIES .*"x"/)
    expect(err).not.toContain('hunter2')
    const bad = await runCli(['serve'], {
      PROXIES: '{"a":["ftp://user:hunter2@proxy.example.com"]}',
      PORT: '0',
    })
    expect(bad.code).toBe(1)
    expect(bad.err).toMatch(/proxies.*proxy\.example\.com/)
    expect(bad.err).not.toContain('hunter2')
    for (const [args, env, message] of [
      [['serve', '--env-file', '/nowhere.env'], {}, /nowhere\.env/],
      [['serve'], { PORT: 'http' }, /PORT must be/],
      [['serve'], { ARTWORK_LOG_LEVEL: 'loud' }, /ARTWORK_LOG_LEVEL must be/],
    ] as const)
      expect((await runCli(args, env)).err).toMatch(message)
  })
})

test('the service hosts, fetches through proxies, and says how it is (parity 37, 38)', async () => {
  const [origin, proxy] = [await anOrigin(), await httpProxy('user:hunter2')]
  origin.serve('/a.jpg', image(await jpeg(2000, 1000)))
  const folder = await temporaryFolder()
  const envFile = join(folder, 'service.env')
  await writeFile(
    envFile,
    `# the service\nARTWORK_UPLOAD_TOKEN=${TOKEN}\nMAX_FETCH_SIZE=400\nUPLOADS_PATH=${join(folder, 'kept')}\nPROXIES={"home":["${proxy.url}"]}\nARTWORK_FETCH_ALLOW_PRIVATE=${origin.host}\nMAX_UPLOAD_SIZE=10\n`,
  )
  const service = await startService({ MAX_UPLOAD_SIZE: '1000' }, ['--env-file', envFile])
  const get = (path: string, init?: RequestInit) => fetch(service.url + path, init)

  const health = await get('/health', { headers: { 'X-Request-Id': 'abc-1' } })
  expect([health.status, await health.json(), health.headers.get('x-request-id')]).toEqual([
    200,
    { status: 'ok' },
    'abc-1',
  ])
  const other = await get('/health', { headers: { 'X-Request-Id': 'x'.repeat(300) } })
  expect(other.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  expect(await (await get('/ready')).json()).toEqual({ status: 'ready', reasons: [] })

  const bytes = await jpeg(2000, 1000)
  const body = { data: bytes.toString('base64') }
  expect((await get('/images/photos', post(body, {}))).status).toBe(401)
  expect((await get('/images/photos', post(body, { Authorization: 'Bearer wrong' }))).status).toBe(401)
  const uploaded = await get('/images/photos', post(body, { ...auth, 'X-Request-Id': 'abc-2' }))
  expect([uploaded.status, uploaded.headers.get('x-request-id')]).toEqual([200, 'abc-2'])
  const { url } = (await uploaded.json()) as { url: string }
  const served = await get(url)
  expect(await sharp(Buffer.from(await served.arrayBuffer())).metadata()).toMatchObject({ width: 1000 })
  const fetched = await get('/images/fetch', post({ url: `${origin.url}/a.jpg`, pool: 'home' }))
  const { data } = (await fetched.json()) as { data: string }
  expect(await sharp(Buffer.from(data, 'base64')).metadata()).toMatchObject({ width: 400 })
  expect(proxy.seen).toEqual([`GET ${origin.url}/a.jpg`])

  const metrics = await get('/metrics')
  expect(metrics.headers.get('content-type')).toMatch(/^text\/plain/)
  const numbers = await metrics.text()
  for (const line of [
    /^artwork_uploads 1$/m,
    /^artwork_fetch_seconds_count\{outcome="ok"\} 1$/m,
    /^artwork_encode_seconds_count\{outcome="ok"\} \d+$/m,
    /^artwork_answers_total\{from="memory"\} \d+$/m,
    /^artwork_queue_depth\{queue="decode"\} 0$/m,
    /^artwork_evictions_total 0$/m,
    /^artwork_write_failures_total 0$/m,
    /^artwork_bytes\{where="uploads"\} \d+$/m,
    /^artwork_proxy_up\{proxy="http:\/\/127\.0\.0\.1:\d+"\} 1$/m,
    /^artwork_proxy_requests\{proxy="[^"]+",outcome="ok"\} 1$/m,
    /^process_resident_memory_bytes \d+$/m,
  ])
    expect(numbers).toMatch(line)
  const document = await get('/api/images/openapi.json')
  expect(((await document.json()) as { openapi: string }).openapi).toBe('3.1.0')
  expect((await get('/nothing')).status).toBe(404)
  const secret = await get('/images/photos/x?s=a-signature')
  expect(secret.status).toBe(403)

  // A connection that is open when it has to stop: not ready, and then closed; exit 0.
  const { port } = new URL(service.url)
  const socket = connect(Number(port), '127.0.0.1')
  await new Promise((resolve) => socket.once('connect', resolve))
  expect(await service.stop()).toBe(0)
  socket.destroy()
  const log = service.err()
  for (const word of ['hunter2', TOKEN, 'a-signature', body.data.slice(0, 40)])
    expect(log).not.toContain(word)
  const lines = log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
  expect(lines).toContainEqual(
    expect.objectContaining({
      req: expect.objectContaining({ id: 'abc-2', method: 'POST', path: '/images/photos' }),
      res: { status: 200 },
    }),
  )
}, 60_000)

test('not ready when uploads cannot be kept (parity 37)', async () => {
  const folder = await temporaryFolder()
  const file = join(folder, 'a-file')
  await writeFile(file, 'x')
  const service = await startService({ UPLOADS_PATH: file })
  const ready = await fetch(`${service.url}/ready`)
  expect([ready.status, await ready.json()]).toEqual([
    503,
    { status: 'failing', reasons: ['uploads cannot be kept'] },
  ])
  const upload = await fetch(`${service.url}/images/photos`, post({ data: 'x' }, {}))
  expect([upload.status, await upload.json()]).toEqual([
    403,
    { detail: expect.stringMatching(/ARTWORK_UPLOAD_TOKEN/) },
  ])
  expect((await fetch(`${service.url}/health`)).status).toBe(200)
})

test('what was acknowledged is there after kill -9', async () => {
  const service = await startService({ ARTWORK_UPLOAD_TOKEN: TOKEN })
  const kept: [string, Buffer][] = []
  const upload = async (seed: number): Promise<void> => {
    const data = (await jpeg(40 + seed, 30)).toString('base64')
    const answer = await fetch(`${service.url}/images/photos`, post({ data }))
    if (answer.status !== 200) return
    const { url } = (await answer.json()) as { url: string }
    kept.push([url, Buffer.from(await (await fetch(service.url + url)).arrayBuffer())])
    if (kept.length === 25) service.child.kill('SIGKILL')
  }
  await Promise.allSettled(Array.from({ length: 60 }, (_, seed) => upload(seed)))
  expect(kept.length).toBeGreaterThanOrEqual(25)
  const again = await startService({ ARTWORK_UPLOAD_TOKEN: TOKEN, ARTWORK_DIRECTORY: service.directory })
  for (const [url, bytes] of kept) {
    const answer = await fetch(again.url + url)
    expect([answer.status, Buffer.from(await answer.arrayBuffer()).equals(bytes)]).toEqual([200, true])
  }
})

test('SIGTERM: not ready at once, what is under way is finished, exit 0', async () => {
  const origin = await anOrigin()
  const picture = await jpeg(60, 40)
  origin.serve('/slow.jpg', (_req, res) => {
    setTimeout(() => res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(picture), 1500)
  })
  const service = await startService({
    ARTWORK_UPLOAD_TOKEN: TOKEN,
    ARTWORK_FETCH_ALLOW_PRIVATE: origin.host,
  })
  const fetching = fetch(`${service.url}/images/fetch`, post({ url: `${origin.url}/slow.jpg` }))
  await expect.poll(() => origin.hits()).toBe(1)
  // A connection that stands already, and an upload whose body is half there.
  const { port } = new URL(service.url)
  const socket = connect(Number(port), '127.0.0.1')
  const upload = connect(Number(port), '127.0.0.1')
  let [answers, uploaded] = ['', '']
  socket.on('data', (piece) => {
    answers += piece
  })
  upload.on('data', (piece) => {
    uploaded += piece
  })
  const ask = (): boolean => socket.write('GET /ready HTTP/1.1\r\nHost: x\r\n\r\n')
  ask()
  await expect.poll(() => answers, { timeout: 20_000 }).toMatch(/200 OK[\s\S]*"ready"/)
  upload.write(
    `POST /images/photos HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: image/jpeg\r\nContent-Length: ${picture.length}\r\n\r\n`,
  )
  upload.write(picture.subarray(0, 100))
  await new Promise((resolve) => setTimeout(resolve, 200))
  const stopped = service.stop()
  await new Promise((resolve) => setTimeout(resolve, 200))
  ask()
  await expect.poll(() => answers, { timeout: 20_000 }).toMatch(/503 Service Unavailable[\s\S]*"closing"/)
  upload.write(picture.subarray(100))
  expect((await fetching).status).toBe(200)
  expect(await stopped).toBe(0)
  expect(uploaded).toMatch(/^HTTP\/1\.1 200/)
  expect(answers).not.toMatch(/ 500 /)
}, 30_000)

test('an https proxy, for http and https sources; its certificate is checked (parity 35)', async () => {
  const folder = await temporaryFolder()
  const [key, certificate] = [join(folder, 'proxy.key'), join(folder, 'proxy.crt')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  const args = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    ...subject,
    '-keyout',
    key,
    '-out',
    certificate,
  ]
  execFileSync('openssl', args, { stdio: 'ignore' })
  const origin = await anOrigin()
  origin.serve('/a.jpg', image(await jpeg(60, 40)))
  const seen: string[] = []
  const proxy = createHttpsServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (req, res) => {
    seen.push(`${req.method} ${req.url}`)
    const url = new URL(req.url ?? '')
    fetch(`http://127.0.0.1:${url.port}${url.pathname}`).then(async (answer) => {
      const type = answer.headers.get('content-type') ?? ''
      res.writeHead(answer.status, { 'Content-Type': type }).end(Buffer.from(await answer.arrayBuffer()))
    })
  })
  proxy.on('connect', (req, socket) => {
    seen.push(`CONNECT ${req.url}`)
    socket.on('error', () => {})
    socket.end('HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n')
  })
  proxy.on('tlsClientError', () => seen.push('refused'))
  await new Promise<void>((resolve) => proxy.listen(0, resolve))
  atEnd(async () => {
    proxy.closeAllConnections()
    proxy.close()
  })
  const address = proxy.address()
  const env = {
    ARTWORK_UPLOAD_TOKEN: TOKEN,
    ARTWORK_FETCH_ALLOW_PRIVATE: origin.host,
    FETCH_MAX_RETRIES: '0',
    PROXIES: JSON.stringify({
      home: [`https://localhost:${typeof address === 'object' ? address?.port : ''}`],
    }),
  }
  const trusting = await startService({ ...env, NODE_EXTRA_CA_CERTS: certificate })
  const ask = async (service: { url: string }, url: string) =>
    (await fetch(`${service.url}/images/fetch`, post({ url }))).status
  expect(await ask(trusting, `${origin.url}/a.jpg`)).toBe(200)
  expect(await ask(trusting, 'https://cdn.example.com/a.jpg')).toBe(502)
  expect(seen).toEqual([`GET ${origin.url}/a.jpg`, 'CONNECT cdn.example.com:443'])
  const wary = await startService(env)
  expect(await ask(wary, `${origin.url}/a.jpg`)).toBe(502)
  expect(seen.slice(2).every((what) => what === 'refused')).toBe(true)
})

test('it ends with 0 though one client has sent half a request, and another stalls in a body (mended 9)', async () => {
  const service = await startService({ ARTWORK_UPLOAD_TOKEN: TOKEN })
  const { port } = new URL(service.url)
  const half = connect(Number(port), '127.0.0.1')
  half.write('GET /health HTTP/1.1\r\nHost: x\r\nX-Half: ')
  const stalled = connect(Number(port), '127.0.0.1')
  stalled.write(
    `POST /images/avatars HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\nxx`,
  )
  for (const socket of [half, stalled]) {
    atEnd(async () => void socket.destroy())
    socket.on('error', () => {})
  }
  // Both have been seen: what came behind them is answered.
  expect((await fetch(`${service.url}/health`)).status).toBe(200)
  expect(await service.stop()).toBe(0)
})
