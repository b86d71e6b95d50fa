/** The management API's routes of what is stored, of entities, and of what could not be had. */
import { jsonResponse } from '../../http/response.js'
import { type Management, searchQuery, serializeImage } from '../../management/management.js'
import { answer, anyObject, parameter } from '../shared/openapi.js'
import { type Route, route } from '../shared/routes.js'
import * as schemas from '../shared/schemas.js'
import { ACCEPTED, acceptedResponse, NOT_FOUND } from './job-routes.js'
import { isoTime, serializeStatus } from './serialize.js'

const ENTITY = [
  parameter('kind', 'A kind of entity, or its alias.', '^[a-z][a-z0-9_]*$'),
  parameter('id', 'Id of the entity.', '^[A-Za-z0-9_-]+$'),
]
const KEY = parameter(
  'name',
  'Its name, as the list tells it; slashes may be sent as they are, or as %2F.',
  '^[^/]+$',
)
const isWhole = (text: string): boolean => /^(?:0|[1-9]\d{0,14})$/.test(text)

/** The routes of stored images. */
export function imageRoutes(management: Management): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/images',
      query: searchQuery,
      description: {
        id: 'searchImages',
        summary: 'Look through everything that is kept',
        answers: { '200': answer('A page.', schemas.keptPage) },
      },
      handle: async ({ query }) => {
        const { images, total, next } = await management.search(query)
        return jsonResponse(200, { images: images.map(serializeImage), total, next: next ?? null })
      },
    }),
    route({
      method: 'GET',
      path: '/images/{name}',
      // A key is only looked up: its slashes may be encoded, as no other path's may.
      takesRest: true,
      description: {
        id: 'explainImage',
        summary: 'One picture: its facts, what was made of it, its past, and why it is answered as it is',
        parameters: [KEY],
        answers: { '200': anyObject('All that is known.'), ...NOT_FOUND },
      },
      handle: ({ param }) => {
        const { image, original, made, history, why } = management.image(param('name'))
        return jsonResponse(200, {
          image: serializeImage(image),
          original: original === undefined ? null : serializeImage(original),
          made: made.map(serializeImage),
          history: history.map(({ at, ...item }) => ({ at: isoTime(at), ...item })),
          why: why ?? null,
        })
      },
    }),
    route({
      method: 'GET',
      path: '/explain',
      query: schemas.explainQuery,
      description: {
        id: 'explain',
        summary: 'Why a picture is answered as it is',
        answers: {
          '200': anyObject('What is held, until when it is fresh, and what failed last.'),
          ...NOT_FOUND,
        },
      },
      handle: ({ query: { address, url = '' } }) =>
        jsonResponse(200, management.explain(address === undefined ? { url } : { address })),
    }),
    route({
      method: 'POST',
      path: '/focal-point',
      body: schemas.focalPointBody,
      description: {
        id: 'focalPoint',
        summary: 'Say what of a picture stays in sight where it is cut to a shape',
        answers: { '200': anyObject('The picture.'), ...NOT_FOUND },
        errors: ['502', '503', '504'],
      },
      handle: async ({ body: { address, point } }) => {
        await management.focus(`images/${address}`, point ?? undefined)
        return jsonResponse(200, { address, point })
      },
    }),
    route({
      method: 'POST',
      path: '/purge',
      body: schemas.purgeBody,
      description: {
        id: 'purge',
        summary: 'Purge a picture and all that was made from it',
        answers: { '200': answer('What is gone.', schemas.purged), ...NOT_FOUND },
      },
      handle: async ({ body }) => {
        const { removed, urls, tags } = await management.purge(body)
        return jsonResponse(200, { removed, urls, tags })
      },
    }),
  ]
}

/** The routes of the numbers, and of failures. */
export function reportRoutes(management: Management): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/stats',
      description: {
        id: 'stats',
        summary: 'What is kept, by kind and in all, and how the queue stands',
        answers: { '200': anyObject('Numbers.') },
      },
      handle: () => {
        const store = management.stats()
        const byKind = management.byKind()
        const sum = (pick: 'cached' | 'failed') => byKind.reduce((total, one) => total + one[pick], 0)
        return jsonResponse(200, {
          kinds: Object.fromEntries(byKind.map(({ kind, ...numbers }) => [kind, numbers])),
          totals: { cached: sum('cached'), failed: sum('failed'), bytes: store.bytes, names: store.names },
          store,
          queue: serializeStatus(management.status()),
        })
      },
    }),
    route({
      method: 'GET',
      path: '/nodes',
      description: {
        id: 'nodes',
        summary: 'The nodes that share the queue, each with its version and its health',
        answers: { '200': anyObject('By their names; none where the queue is not shared.') },
      },
      handle: async () =>
        jsonResponse(200, {
          nodes: (await management.nodes()).map(({ startedAt, reasons, ...node }) => ({
            ...node,
            health: reasons.length === 0 ? 'ready' : 'degraded',
            reasons,
            started_at: new Date(startedAt).toISOString(),
          })),
        }),
    }),
    route({
      method: 'GET',
      path: '/diagnostics',
      description: {
        id: 'diagnostics',
        summary: 'Mistakes in how the toolkit is used, each with what mends it',
        answers: { '200': anyObject('The latest first.') },
      },
      handle: () =>
        jsonResponse(200, {
          diagnostics: management.diagnostics().map(({ firstAt, lastAt, ...one }) => ({
            ...one,
            first_at: new Date(firstAt).toISOString(),
            last_at: new Date(lastAt).toISOString(),
          })),
        }),
    }),
    route({
      method: 'GET',
      path: '/failures',
      query: schemas.failuresQuery,
      description: {
        id: 'failures',
        summary: 'What could not be had, why, and when it is tried again',
        answers: { '200': anyObject('A page.') },
      },
      handle: ({ query: { after, limit } }) => {
        const { failures, next } = management.failures(after, limit)
        const shown = failures.map(({ at, nextTry, ...failure }) => ({
          ...failure,
          at: isoTime(at),
          next_try: isoTime(nextTry),
        }))
        return jsonResponse(200, { failures: shown, next: next ?? null })
      },
    }),
  ]
}

/** The routes of entities; their paths begin with any word, so they come last. */
export function entityRoutes(management: Management): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/{kind}/{id}',
      description: {
        id: 'entity',
        summary: 'An entity’s picture',
        parameters: ENTITY,
        answers: { '200': anyObject('What is printed.'), ...NOT_FOUND },
      },
      handle: async ({ param }) => {
        const id = param('id')
        const found = await management.entity(management.kindNamed(param('kind')), id)
        const { kind, alias } = found.kind
        const about = { image_url: found.url, cached: found.isCached }
        if (kind === 'category') return jsonResponse(200, { category_name: id, ...about })
        return jsonResponse(200, {
          [`${alias ?? kind}_id`]: isWhole(id) ? Number(id) : id,
          username: found.name,
          image_url: found.url,
          original_image_url: found.sourceUrl,
          cached: found.isCached,
        })
      },
    }),
    route({
      method: 'POST',
      path: '/{kind}/{id}/download',
      description: {
        id: 'download',
        summary: 'Fetch an entity’s picture anew',
        parameters: ENTITY,
        answers: { ...ACCEPTED, ...NOT_FOUND },
        errors: ['503'],
      },
      handle: async ({ req, param }) =>
        acceptedResponse(req, await management.download(management.kindNamed(param('kind')), param('id'))),
    }),
  ]
}
