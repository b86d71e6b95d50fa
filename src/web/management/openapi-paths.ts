/** The management API in the OpenAPI document. */
import { HTTP_JOB_KINDS, httpJob } from '../../jobs/kinds.js'
import { searchQuery } from '../../management/management.js'
import {
  answer,
  body,
  errors,
  failed,
  type Json,
  parameter,
  query,
  schemaOf,
  secured,
} from './openapi-parts.js'
import * as schemas from './schemas.js'

/** The operations of the management API, below its mount path. */
export function managementPaths(mount: string): Json {
  const text = { schema: { type: 'object' } }
  const anyObject = (description: string): Json => ({ description, content: { 'application/json': text } })
  const isSecured = { security: secured }
  const id = parameter('id', 'Id of the job.', '^[0-9]{1,15}$')
  const entity = [
    parameter('kind', 'A kind of entity, or its alias.', '^[a-z][a-z0-9_]*$'),
    parameter('id', 'Id of the entity.', '^[A-Za-z0-9_-]+$'),
  ]
  const gone = { '404': failed('There is no such thing.') }
  const accepted = { '202': answer('It is queued; Location tells where to ask after it.', schemas.accepted) }
  const jobs = HTTP_JOB_KINDS.map((kind) => {
    const { summary, body: schema } = httpJob(kind)
    const isBodyRequired = !schema.safeParse({}).success
    const operation = {
      operationId: `${kind}Job`,
      summary,
      ...isSecured,
      requestBody: { required: isBodyRequired, content: body(schema) },
      responses: { ...accepted, ...errors('400', '403', '408', '413', '415', '422', '503') },
    }
    return [`${mount}/${kind}`, { post: operation }]
  })
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
      '200': anyObject('Numbers.'),
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
      { '200': anyObject('All that is known.'), ...gone },
    ),
    [`${mount}/failures`]: get(
      'failures',
      'What could not be had, why, and when it is tried again',
      [query('after', '`next` of the page before.', { type: 'string' }), limit],
      { '200': anyObject('A page.') },
    ),
    [`${mount}/explain`]: get(
      'explain',
      'Why a picture is answered as it is',
      [
        query('address', 'Its address.', { type: 'string' }),
        query('url', 'Or its source URL.', { type: 'string' }),
      ],
      { '200': anyObject('What is held, until when it is fresh, and what failed last.') },
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
            responses: { '200': anyObject('How the queue stands.'), ...errors('400', '403') },
          },
        },
      ]),
    ),
    [`${mount}/{kind}/{id}`]: get('entity', 'An entity’s picture', entity, {
      '200': anyObject('What is printed.'),
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
