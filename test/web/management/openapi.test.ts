/** The JSON API against its own OpenAPI document: every operation, with good and bad bodies, answers as it says. */
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import express from 'express'
import { uploads } from 'express-artwork'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { jpeg, png } from '../../support/images.js'
import { image } from '../../support/origin.js'
import { ask } from '../../support/raw-http.js'
import { listen, startApp } from '../../support/toolkit.js'

interface Operation {
  readonly operationId: string
  readonly parameters?: readonly { name: string; in: string; schema: { pattern?: string } }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { schema: object }>> }
  readonly responses: Readonly<Record<string, { content?: Readonly<Record<string, { schema: object }>> }>>
}
type Document = { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> }

/** Parts of paths that are sent as they are. */
const RAW = new Set(['..', '%2e%2e', '..%2f..', '%00', 'a/b'])

async function stage({ isOpen = false } = {}) {
  const app = await startApp({
    transform: { isolate: false },
    sources: [uploads({ authorize: () => true, maxBytes: 50_000 })],
    fetch: { retries: 0 },
    manage: { authorize: () => isOpen },
  })
  const api = await listen(express().use('/api/images', app.artwork.manageRouter))
  const document = (await (await fetch(`${api.url}/api/images/openapi.json`)).json()) as Document
  return { ...app, api, document }
}

describe('the OpenAPI document', () => {
  test('is valid, and open to all; the page that shows it has every operation', async () => {
    const { api, document } = await stage()
    const checked = await new Validator().validate(JSON.parse(JSON.stringify(document)))
    expect(checked.errors ?? []).toEqual([])
    expect(checked.valid).toBe(true)
    const page = await fetch(`${api.url}/api/images/docs`)
    expect(page.headers.get('content-type')).toMatch(/^text\/html/)
    const text = await page.text()
    const operations = Object.entries(document.paths).flatMap(([path, verbs]) =>
      Object.keys(verbs).map((verb) => [path, verb]),
    )
    expect(operations.filter(([path]) => !path?.startsWith('/api/images')).length).toBe(9)
    expect(operations.length).toBe(35)
    for (const [path, verb] of operations) {
      expect(text).toContain(`data-verb="${verb?.toUpperCase()}"`)
      expect(text).toContain(`data-path="${path}"`)
    }
    expect((await fetch(`${api.url}/api/images/docs.js`)).headers.get('content-type')).toMatch(
      /^text\/javascript/,
    )
    expect((await fetch(`${api.url}/api/images/other`)).status).toBe(403)
    expect((await fetch(`${api.url}/api/images/docs`, { method: 'POST' })).status).toBe(405)
  })

  test('no operation answers with a 5xx of ours or outside its schema, whatever is sent', async () => {
    const app = await stage()
    const ajv = formats.default(new Ajv2020({ strict: false }))
    const good = [await jpeg(60, 40), await png(20, 20)]
    app.origin.serve('/a.jpg', image(good[0] ?? ''))
    app.origin.serve('/page', image('<html>', 'text/html'))
    const stored = await app.artwork.uploads?.save('photos', good[0] ?? Buffer.alloc(0))
    const namespaces = fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom('photos', 'avatars', 'x') },
      fc.constantFrom(
        'Photos',
        'poster',
        'remote',
        'fetch',
        '..',
        '%2e%2e',
        'a/b',
        '',
        '__proto__',
        'constructor',
      ),
      fc.string({ maxLength: 12 }),
    )
    const ids = fc.oneof(
      fc.constant(stored?.imageId ?? ''),
      fc.constantFrom('nope', '..%2f..', '%00', 'proxy'),
      fc.string({ maxLength: 40 }),
    )
    const urls = fc.oneof(
      { weight: 3, arbitrary: fc.constant(`${app.origin.url}/a.jpg`) },
      fc.constantFrom(
        `${app.origin.url}/a.jpg`,
        `${app.origin.url}/page`,
        `${app.origin.url}/gone`,
        stored?.url ?? '',
        '/images/',
        '/images/photos',
        '/images/photos/w9/x',
        'http://10.0.0.1/',
        'x',
        '',
        '__proto__',
        'data:image/png;base64,AAAA',
      ),
      fc.webUrl({ validSchemes: ['ftp', 'gopher'] }),
      fc.string({ maxLength: 30 }),
    )
    const data = fc.oneof(
      { weight: 2, arbitrary: fc.constantFrom(...good.map((bytes) => bytes.toString('base64'))) },
      fc.constantFrom(
        ...good.map((bytes) => bytes.toString('base64')),
        `data:image/jpeg;base64,${good[0]?.toString('base64')}`,
        'data:',
        'data:,x',
        'AAAA',
        '=',
      ),
      fc.string({ maxLength: 60 }),
      fc.base64String({ maxLength: 100 }),
    )
    const pools = fc.oneof(
      fc.constant(undefined),
      fc.constant(null),
      fc.constantFrom('nobody', '*', '__proto__'),
    )
    const bodies: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
      uploadImage: fc.record({ data }, { requiredKeys: [] }),
      putImage: fc.record({ data }, { requiredKeys: [] }),
      fetchImage: fc.record({ url: urls, pool: pools }, { requiredKeys: [] }),
      proxyImages: fc.record({ urls: fc.array(urls, { maxLength: 6 }), pool: pools }, { requiredKeys: [] }),
    }
    const types = fc.constantFrom(
      'application/json',
      'image/png',
      'multipart/form-data; boundary=b',
      'multipart/form-data',
      'application/octet-stream',
      'text/plain',
      '',
    )
    const rawBodies = fc.oneof(
      fc.constantFrom(...good.map((bytes) => new Uint8Array(bytes))),
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom(
        Buffer.from('--b\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\nx\r\n--b--\r\n'),
        Buffer.from('--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'),
        Buffer.from('--b--\r\n'),
        Buffer.from(`${'['.repeat(20_000)}`),
        Buffer.from('{"data":{"__proto__":1}}'),
        Buffer.alloc(60_000, 'x'),
      ),
    )
    const seen = new Map<string, Set<number>>()
    for (const [template, verbs] of Object.entries(app.document.paths))
      for (const [verb, operation] of template.startsWith('/api/images') ? [] : Object.entries(verbs)) {
        const statuses = new Set<number>()
        seen.set(operation.operationId, statuses)
        const send = async (
          path: string,
          headers: Record<string, string>,
          body: string | Uint8Array | undefined,
        ): Promise<void> => {
          const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body ?? [])
          const length = bytes.length > 0 ? { 'Content-Length': String(bytes.length) } : {}
          // Over a bare socket: other clients tidy paths up.
          const raw = await ask(app.url, path, {
            method: verb.toUpperCase(),
            headers: { ...headers, ...length },
            body: bytes.toString('latin1'),
          })
          const answer = { status: raw.status, type: raw.headers['content-type'] ?? '' }
          const text = raw.body.toString()
          const what = `${verb} ${path} → ${answer.status} ${text.slice(0, 200)}`
          statuses.add(answer.status)
          expect(answer.status, what).not.toBe(500)
          // A path that the document does not have (a slash in a name) is another operation, or none.
          if (path.split('/').length !== template.split('/').length || path.endsWith('/')) return
          const documented = operation.responses[String(answer.status)]
          // What has not the shape of ours is the app's, which has nothing there.
          const isApps = answer.status === 404 && answer.type.startsWith('text/html')
          const isOther =
            isApps || answer.status === 405 || template.endsWith('/proxy') !== path.endsWith('/proxy')
          if (isOther) return
          expect(documented, what).toBeDefined()
          const { type } = answer
          if (answer.status >= 500) expect([502, 503, 504], what).toContain(answer.status)
          const media = type.split(';', 1)[0] ?? ''
          if (documented?.content === undefined) return
          expect(Object.keys(documented.content), what).toContain(
            media.startsWith('image/') ? 'image/*' : media,
          )
          const json = documented.content[media]
          if (media !== 'application/json' || json === undefined) return
          const isRight = ajv.compile(json.schema)
          expect(isRight(JSON.parse(text)), `${what} ${JSON.stringify(isRight.errors)}`).toBe(true)
        }
        const fill = fc.record({
          namespace: namespaces,
          id: ids,
          variant: fc.constantFrom('original', 'original-webp', 'w9', 'Bad', 'w0', 'avatar'),
        })
        const encode = (text: string): string => (RAW.has(text) ? text : encodeURIComponent(text))
        const pathOf = (parts: { namespace: string; id: string; variant: string }): string =>
          template
            .replace('{namespace}', () => encode(parts.namespace))
            .replace('{image_id}', () => encode(parts.id))
            .replace('{variant}', parts.variant)
        const body = bodies[operation.operationId]
        if (body !== undefined)
          await fc.assert(
            fc.asyncProperty(fill, fc.oneof(body, fc.jsonValue()), (parts, value) =>
              send(pathOf(parts), { 'Content-Type': 'application/json' }, JSON.stringify(value)),
            ),
            { numRuns: 60 },
          )
        const hasBody = body !== undefined
        await fc.assert(
          fc.asyncProperty(fill, types, rawBodies, (parts, type, bytes) =>
            send(
              pathOf(parts),
              type === '' ? {} : { 'Content-Type': type },
              hasBody ? new Uint8Array(bytes) : undefined,
            ),
          ),
          { numRuns: 60 },
        )
      }
    // The good ones got through, so that the bad ones were refused for a reason.
    for (const operation of [
      'uploadImage',
      'putImage',
      'fetchImage',
      'proxyImages',
      'listImages',
      'deleteImages',
    ])
      expect(seen.get(operation), operation).toContain(200)
  }, 120_000)

  test('no operation of the management API answers with a 5xx of ours or outside its schema, whatever is sent', async () => {
    const { artwork, origin, api, document } = await stage({ isOpen: true })
    const ajv = formats.default(new Ajv2020({ strict: false }))
    origin.serve('/a.jpg', image(await jpeg(60, 40)))
    const words = fc.oneof(
      fc.constantFrom(
        'artist',
        'streamer',
        'images',
        'local/artists/1/1.webp',
        '../x',
        '%',
        '0',
        '1',
        '-1',
        '9e99',
      ),
      fc.string({ maxLength: 20 }),
    )
    const fields: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
      kinds: fc.array(fc.constantFrom('artist', 'nobody', '__proto__')),
      addresses: fc.array(words, { maxLength: 3 }),
      variants: fc.array(words, { maxLength: 2 }),
      dryRun: fc.boolean(),
      maxAgeDays: fc.oneof(fc.double(), fc.constantFrom(0, -1, 1e308, 'x')),
      perMinute: fc.oneof(fc.double(), fc.constantFrom(0, 1e-300)),
      address: words,
      url: words,
      tag: words,
      entity: fc.record({ kind: words, id: fc.oneof(words, fc.double()) }, { requiredKeys: [] }),
    }
    /** Bodies with the fields that an operation has, with others, and with anything. */
    const bodiesOf = ({ requestBody }: Operation) => {
      const known = requestBody?.content['application/json']?.schema ?? {}
      const names = 'properties' in known ? Object.keys(known.properties as object) : Object.keys(fields)
      const own = Object.fromEntries(Object.entries(fields).filter(([name]) => names.includes(name)))
      return fc.oneof(
        { weight: 3, arbitrary: fc.record(own, { requiredKeys: [] }) },
        fc.record(fields, { requiredKeys: [] }),
        fc.jsonValue(),
      )
    }
    const seen = new Map<string, Set<number>>()
    for (const [template, verbs] of Object.entries(document.paths))
      for (const [verb, operation] of template.startsWith('/api/images') ? Object.entries(verbs) : []) {
        const content = operation.responses['200']?.content ?? {}
        // What never ends is not asked here.
        if ('text/event-stream' in content) continue
        const statuses = new Set<number>()
        seen.set(operation.operationId, statuses)
        const send = async (parts: Record<string, string | undefined>, body: unknown): Promise<void> => {
          const names = (operation.parameters ?? [])
            .filter((one) => one.in === 'query')
            .map(({ name }) => name)
          const query = new URLSearchParams(
            names.flatMap((name) => (parts[name] === undefined ? [] : [[name, parts[name] ?? '']])),
          )
          const path = template.replace(/\{([a-z]+)\}/g, (_all, name: string) =>
            encodeURIComponent((parts[name] || 'x').replace(/^\.{1,2}$/, '...')),
          )
          const answer = await fetch(`${api.url}${path}?${query}`, {
            method: verb.toUpperCase(),
            ...(operation.requestBody !== undefined && {
              headers: { 'Content-Type': 'application/json' },
              body: JSON.stringify(body),
            }),
          })
          const text = await answer.text()
          const what = `${verb} ${path}?${query} ${JSON.stringify(body)} → ${answer.status} ${text.slice(0, 300)}`
          statuses.add(answer.status)
          // Another name in the place of one may be another route.
          const isOther =
            template !== '/api/images/jobs/{id}' && /^\/api\/images\/(?:images|jobs)\b/.test(path)
          if (isOther && !template.includes('/images/images') && !template.includes('/images/jobs')) return
          const response = operation.responses[String(answer.status)]
          expect(response, what).toBeDefined()
          const json = response?.content?.['application/json']
          if (json === undefined) return
          const isRight = ajv.compile(json.schema)
          expect(isRight(JSON.parse(text)), `${what} ${JSON.stringify(isRight.errors)}`).toBe(true)
        }
        const names = [
          'kind',
          'id',
          'name',
          'q',
          'role',
          'state',
          'sort',
          'after',
          'limit',
          'before',
          'parent',
          'address',
          'url',
        ]
        const parts = fc.record(Object.fromEntries(names.map((name) => [name, words])), { requiredKeys: [] })
        await fc.assert(
          fc.asyncProperty(parts, bodiesOf(operation), (some, body) => send(some, body)),
          { numRuns: 40 },
        )
        await send({}, {})
      }
    expect(artwork.refresher.status().queued).toBeGreaterThan(0)
    for (const operation of ['stats', 'searchImages', 'failures', 'jobs', 'pauseQueue'])
      expect(seen.get(operation), operation).toContain(200)
    for (const operation of ['syncJob', 'cleanupJob', 'exportJob', 'warmJob'])
      expect(seen.get(operation), operation).toContain(202)
  }, 120_000)
})
