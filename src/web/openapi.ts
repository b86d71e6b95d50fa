/** The OpenAPI 3.1 document of the JSON API, made from the schemas that check its bodies. */
import { z } from 'zod'
import type { Settings } from '../options.js'
import { type AskedJob, JOB_BODIES, searchQuery } from './management.js'
import * as schemas from './schemas.js'

type Json = Readonly<Record<string, unknown>>

const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Json => {
  const { $schema: _which, ...json } = z.toJSONSchema(schema, { target: 'draft-2020-12', io })
  return json
}
const body = (schema: z.ZodType): Json => ({ 'application/json': { schema: schemaOf(schema, 'input') } })
const answer = (description: string, schema: z.ZodType): Json => ({
  description,
  content: { 'application/json': { schema: schemaOf(schema, 'output') } },
})
const failed = (description: string): Json => answer(description, schemas.failure)
const parameter = (name: string, description: string, pattern: string): Json => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string', pattern },
})
const query = (name: string, description: string, schema: Json): Json => ({
  name,
  in: 'query',
  description,
  schema,
})

const NAMESPACE = parameter('namespace', 'Name of the namespace.', '^[a-z][a-z0-9_-]{0,63}$')
const IMAGE = parameter('image_id', 'Id of the image.', '^[A-Za-z0-9_][A-Za-z0-9._:%~-]*$')
const VARIANT = parameter(
  'variant',
  'How the image should look, in canonical text.',
  '^[a-z][a-z0-9_-]{0,127}$',
)

const REFUSED = failed('Not authorised, or closed; a host that may not be asked.')
const COMMON = {
  '400': failed('The path, or a parameter, is not valid.'),
  '403': REFUSED,
  '408': failed('The body did not come in time.'),
  '413': failed('Too many bytes or pixels.'),
  '415': failed('Not an image of a known format, or a body of another type.'),
  '422': failed('The body is not valid, or an image cannot be decoded.'),
  '502': failed('A source, or a decoder, failed.'),
  '503': failed('Too much to do, or nothing can be kept; with Retry-After.'),
  '504': failed('A source, or a decoder, took too long.'),
}
const errors = (...statuses: readonly (keyof typeof COMMON)[]): Json =>
  Object.fromEntries(statuses.map((status) => [status, COMMON[status]]))

const MISSING = { '404': failed('There is no such image.') }
const picture = (description: string): Json => ({
  description,
  content: { 'image/*': { schema: { type: 'string', format: 'binary' } } },
})
const plain = (description: string): Json => ({
  description,
  content: { 'text/plain': { schema: { type: 'string' } } },
})
const eitherWay = (description: string): Json => ({
  description,
  content: {
    'application/json': { schema: schemaOf(schemas.failure, 'output') },
    'text/plain': { schema: { type: 'string' } },
  },
})
const pictureAnswers: Json = {
  '200': picture('The image.'),
  '206': picture('A range of it.'),
  '304': { description: 'Unchanged.' },
  '400': plain('The path is not valid.'),
  '404': plain('There is no such image.'),
  '416': plain('There is no such range.'),
  '503': plain('Too much to do; with Retry-After.'),
}
const binary = { schema: { type: 'string', format: 'binary' } }
const form = {
  schema: {
    type: 'object',
    required: ['file'],
    properties: {
      file: { type: 'string', format: 'binary', description: 'The image; any field name does.' },
    },
  },
}
const uploadContent = {
  ...body(schemas.uploadBody),
  'multipart/form-data': form,
  'image/*': binary,
  'application/octet-stream': binary,
}
const secured = [{ bearer: [] }, {}]

const upload = (operationId: string): Json => ({
  operationId,
  summary: 'Keep an image',
  description: 'The same bytes are the same image: uploading them again answers the same id.',
  parameters: [NAMESPACE],
  security: secured,
  requestBody: { required: true, content: uploadContent },
  responses: {
    '200': answer('It is kept, and on disk.', schemas.uploaded),
    ...errors('400', '403', '408', '413', '415', '422', '502', '503', '504'),
  },
})

/** Makes the document. @param hasUploads whether there are uploads to describe @param mount path of the management API */
export function openApiDocument(settings: Settings, hasUploads: boolean, mount: string): Json {
  const { urls } = settings
  const images = urls.images
  const paths: Json = {
    [`${images}/{namespace}`]: {
      get: {
        operationId: 'listImages',
        summary: 'List the images of a namespace',
        parameters: [
          NAMESPACE,
          query('after', 'Only images after this id.', { type: 'string' }),
          query('limit', 'How many at most.', { type: 'integer', minimum: 1, maximum: 1000, default: 100 }),
        ],
        security: secured,
        responses: {
          '200': answer('A page, in the order of ids.', schemas.listed),
          ...errors('403', '503'),
          '400': eitherWay('A parameter is not valid; as text where there is no such namespace.'),
        },
      },
      post: upload('uploadImage'),
      put: upload('putImage'),
      delete: {
        operationId: 'deleteImages',
        summary: 'Delete every image of a namespace',
        parameters: [NAMESPACE],
        security: secured,
        responses: { '200': answer('How many there were.', schemas.deleted), ...errors('400', '403', '503') },
      },
    },
    [`${images}/{namespace}/{image_id}`]: {
      get: {
        operationId: 'getImage',
        summary: 'The image as it is kept',
        parameters: [NAMESPACE, IMAGE],
        responses: pictureAnswers,
      },
      delete: {
        operationId: 'deleteImage',
        summary: 'Delete an image',
        parameters: [NAMESPACE, IMAGE],
        security: secured,
        responses: {
          '200': answer('It is gone.', schemas.deleted),
          ...errors('400', '403', '503'),
          ...MISSING,
        },
      },
    },
    [`${images}/{namespace}/{variant}/{image_id}`]: {
      get: {
        operationId: 'getRendition',
        summary: 'The image as a variant',
        parameters: [NAMESPACE, VARIANT, IMAGE],
        responses: {
          ...pictureAnswers,
          '413': plain('Too many pixels.'),
          '415': plain('The format is not allowed.'),
          '422': plain('The image cannot be decoded.'),
          '502': plain('The decoder failed.'),
          '504': plain('The decoder took too long.'),
        },
      },
    },
    [`${images}/{namespace}/proxy`]: {
      post: {
        operationId: 'proxyImages',
        summary: 'Fetch images and keep them',
        parameters: [NAMESPACE],
        security: secured,
        requestBody: { required: true, content: body(schemas.proxyBody) },
        responses: {
          '200': answer('Where each is kept, and why the others are not.', schemas.proxied),
          ...errors('400', '403', '408', '413', '415', '422', '503'),
        },
      },
    },
    [`${images}/fetch`]: {
      post: {
        operationId: 'fetchImage',
        summary: 'Fetch an image and answer it in base64',
        security: secured,
        requestBody: { required: true, content: body(schemas.fetchBody) },
        responses: {
          '200': answer('The image, fitted into the box of fetched images.', schemas.fetched),
          ...errors('403', '408', '413', '415', '422', '502', '503', '504'),
          ...MISSING,
        },
      },
    },
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'express-artwork',
      version: '1',
      description:
        'Uploads, fetching for others, and the images themselves. Every failure of the JSON API is `{ "detail": … }`.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: urls.base === '' ? '/' : urls.base }],
    paths: { ...(hasUploads ? paths : {}), ...managementPaths(mount) },
    components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
  }
}

/** The operations of the management API, below its mount path. */
function managementPaths(mount: string): Json {
  const text = { schema: { type: 'object' } }
  const told = (description: string): Json => ({ description, content: { 'application/json': text } })
  const isSecured = { security: secured }
  const id = parameter('id', 'Id of the job.', '^[0-9]{1,15}$')
  const entity = [
    parameter('kind', 'A kind of entity, or its alias.', '^[a-z][a-z0-9_]*$'),
    parameter('id', 'Id of the entity.', '^[A-Za-z0-9_-]+$'),
  ]
  const gone = { '404': failed('There is no such thing.') }
  const accepted = { '202': answer('It is queued; Location tells where to ask after it.', schemas.accepted) }
  const jobs = Object.entries(JOB_BODIES).map(([kind, schema]) => [
    `${mount}/${kind}`,
    {
      post: {
        operationId: `${kind}Job`,
        summary: JOB_SUMMARIES[kind as AskedJob],
        ...isSecured,
        requestBody: { required: kind === 'warm', content: body(schema) },
        responses: { ...accepted, ...errors('400', '403', '408', '413', '415', '422', '503') },
      },
    },
  ])
  const get = (operationId: string, summary: string, parameters: readonly Json[], answers: Json): Json => ({
    get: {
      operationId,
      summary,
      ...isSecured,
      parameters,
      responses: { ...answers, ...errors('400', '403') },
    },
  })
  const limit = query('limit', 'How many at most.', {
    type: 'integer',
    minimum: 1,
    maximum: 500,
    default: 50,
  })
  const searched = schemaOf(searchQuery, 'input').properties
  const searchParameters = Object.entries(
    typeof searched === 'object' && searched !== null ? searched : {},
  ).map(([name, schema]: [string, Json]) => query(name, String(schema.description ?? name), schema))
  const events = {
    '200': {
      description: 'Server-sent events.',
      content: { 'text/event-stream': { schema: { type: 'string' } } },
    },
  }
  return {
    [`${mount}/stats`]: get('stats', 'What is kept, by kind and in all, and how the queue stands', [], {
      '200': told('Numbers.'),
    }),
    [`${mount}/images`]: get('searchImages', 'Look through everything that is kept', searchParameters, {
      '200': answer('A page.', schemas.keptPage),
    }),
    [`${mount}/images/{name}`]: get(
      'explainImage',
      'One picture: its facts, what was made of it, its past, and why it is answered as it is',
      [
        parameter(
          'name',
          'Its name, as the list tells it; slashes may be sent as they are, or as %2F.',
          '^[^/]+$',
        ),
      ],
      { '200': told('All that is known.'), ...gone },
    ),
    [`${mount}/failures`]: get(
      'failures',
      'What could not be had, why, and when it is tried again',
      [query('after', '`next` of the page before.', { type: 'string' }), limit],
      { '200': told('A page.') },
    ),
    [`${mount}/explain`]: get(
      'explain',
      'Why a picture is answered as it is',
      [
        query('address', 'Its address.', { type: 'string' }),
        query('url', 'Or its source URL.', { type: 'string' }),
      ],
      { '200': told('What is held, until when it is fresh, and what failed last.') },
    ),
    [`${mount}/events`]: get('events', 'What happens in the queue', [], events),
    [`${mount}/jobs`]: get(
      'jobs',
      'Jobs, newest first',
      [
        query('state', 'Only those that stand so.', {
          enum: ['queued', 'running', 'done', 'failed', 'cancelled'],
        }),
        query('kind', 'Only of this kind.', { type: 'string' }),
        query('parent', 'Only those that this job asked for.', { type: 'integer' }),
        query('before', '`next` of the page before.', { type: 'integer' }),
        limit,
      ],
      { '200': answer('A page.', schemas.jobPage) },
    ),
    [`${mount}/jobs/{id}`]: get('job', 'One job', [id], {
      '200': answer('The job.', schemas.oneJob),
      ...gone,
    }),
    [`${mount}/jobs/{id}/events`]: get('jobEvents', 'A job as it comes on, until it has ended', [id], {
      ...events,
      ...gone,
    }),
    ...Object.fromEntries(
      (['cancel', 'retry'] as const).map((verb) => [
        `${mount}/jobs/{id}/${verb}`,
        {
          post: {
            operationId: `${verb}Job`,
            summary:
              verb === 'cancel' ? 'Cancel a job' : 'Queue a job once more that failed or was cancelled',
            ...isSecured,
            parameters: [id],
            responses: {
              ...accepted,
              ...gone,
              '409': failed('It has ended, or has not.'),
              ...errors('400', '403'),
            },
          },
        },
      ]),
    ),
    ...Object.fromEntries(jobs),
    [`${mount}/purge`]: {
      post: {
        operationId: 'purge',
        summary: 'Take a picture and all that was made from it away',
        ...isSecured,
        requestBody: { required: true, content: body(schemas.purgeBody) },
        responses: {
          '200': answer('What is gone.', schemas.purged),
          ...errors('400', '403', '408', '413', '415', '422'),
        },
      },
    },
    ...Object.fromEntries(
      (['pause', 'resume'] as const).map((verb) => [
        `${mount}/${verb}`,
        {
          post: {
            operationId: `${verb}Queue`,
            summary: verb === 'pause' ? 'Begin nothing new, in no process' : 'Begin new work again',
            ...isSecured,
            responses: { '200': told('How the queue stands.'), ...errors('400', '403') },
          },
        },
      ]),
    ),
    [`${mount}/{kind}/{id}`]: get('entity', 'An entity’s picture', entity, {
      '200': told('What is printed.'),
      ...gone,
    }),
    [`${mount}/{kind}/{id}/download`]: {
      post: {
        operationId: 'download',
        summary: 'Fetch an entity’s picture anew',
        ...isSecured,
        parameters: entity,
        responses: { ...accepted, ...gone, ...errors('400', '403', '503') },
      },
    },
  }
}

const JOB_SUMMARIES: Readonly<Record<AskedJob, string>> = {
  sync: 'Fetch what is missing, changed, or failed and due',
  refresh: 'Ask about originals that have aged',
  validate: 'Ask whether source URLs still answer',
  warm: 'Make variants before anybody asks',
  cleanup: 'Remove what was not used for long, orphans and damaged copies',
  verify: 'Read everything against its digest',
  export: 'Put pictures where media servers find them',
}
