/** The management API's routes of jobs and of their queue. */
import type { Request } from 'express'
import { type HttpResponse, jsonResponse } from '../../http/response.js'
import { HTTP_JOB_KINDS, httpJob } from '../../jobs/kinds.js'
import type { Management } from '../../management/management.js'
import type { Job } from '../../model/job-queue.js'
import type { Settings } from '../../options/settings.js'
import { BadBody } from '../shared/json.js'
import { answer, anyObject, failed, parameter } from '../shared/openapi.js'
import { type Route, route } from '../shared/routes.js'
import * as schemas from '../shared/schemas.js'
import { disconnectSignal } from '../shared/send.js'
import { sendEvents } from '../shared/server-events.js'
import { jobEvents, queueEvents, serializeJob, serializeStatus } from './serialize.js'

/** What a path names is not there. */
export const NOT_FOUND = { '404': failed('There is no such thing.') }
/** A job has been queued. */
export const ACCEPTED = {
  '202': answer('It is queued; Location tells where to ask after it.', schemas.accepted),
}
const EVENTS = {
  '200': {
    description: 'Server-sent events.',
    content: { 'text/event-stream': { schema: { type: 'string' } } },
  },
}
const JOB_ID = parameter('id', 'Id of the job.', '^[0-9]{1,15}$')
const CHANGES = {
  cancel: { summary: 'Cancel a job', done: 'cancelled' },
  retry: { summary: 'Queue a job once more that failed or was cancelled', done: 'tried again' },
} as const

/** The answer to a request that queued a job. */
export function acceptedResponse(req: Request, job: Job): HttpResponse {
  const { headers, ...reply } = jsonResponse(202, { job: serializeJob(job) })
  return { ...reply, headers: { ...headers, Location: `${req.baseUrl}/jobs/${job.id}` } }
}

/** A route for each kind of job that can be started over HTTP. */
function startRoutes(management: Management, kinds: Settings['kinds']): readonly Route[] {
  return HTTP_JOB_KINDS.map((kind) => {
    const { summary, body } = httpJob(kind)
    return route({
      method: 'POST',
      path: `/${kind}`,
      body,
      description: { id: `${kind}Job`, summary, answers: ACCEPTED, errors: ['503'] },
      handle: async ({ req, body: payload }) => {
        const named = 'kinds' in payload ? (payload.kinds ?? []) : []
        const unknown = named.filter((name) => !kinds.has(name))
        if (unknown.length > 0)
          throw new BadBody([
            { loc: ['body', 'kinds'], msg: `no kinds of entity: ${unknown.join(', ')}`, type: 'value_error' },
          ])
        return acceptedResponse(req, await management.start(kind, payload))
      },
    })
  })
}

/** The routes of one job. */
function jobRoutes(management: Management): readonly Route[] {
  const parameters = [JOB_ID]
  const changes = (['cancel', 'retry'] as const).map((verb) =>
    route({
      method: 'POST',
      path: `/jobs/{id}/${verb}`,
      description: {
        id: `${verb}Job`,
        summary: CHANGES[verb].summary,
        parameters,
        answers: { ...ACCEPTED, ...NOT_FOUND, '409': failed('It has ended, or has not.') },
      },
      handle: async ({ req, param }) => {
        const { job, isDone } = await management.change(param('id'), verb)
        if (isDone) return acceptedResponse(req, job)
        return jsonResponse(409, {
          detail: `a job that is ${job.state} cannot be ${CHANGES[verb].done}`,
        })
      },
    }),
  )
  return [
    route({
      method: 'GET',
      path: '/jobs/{id}',
      description: {
        id: 'job',
        summary: 'One job',
        parameters,
        answers: { '200': answer('The job.', schemas.oneJob), ...NOT_FOUND },
      },
      handle: async ({ param }) => {
        const { job, children } = await management.job(param('id'))
        return jsonResponse(200, { job: serializeJob(job), children })
      },
    }),
    route({
      method: 'GET',
      path: '/jobs/{id}/events',
      description: {
        id: 'jobEvents',
        summary: 'Progress of a job as server-sent events, until it has ended',
        parameters,
        answers: { ...EVENTS, ...NOT_FOUND },
      },
      handle: async ({ req, res, param }) => {
        await management.job(param('id'))
        return sendEvents(req, res, jobEvents(await management.watch(param('id'), disconnectSignal(res))))
      },
    }),
    ...changes,
  ]
}

/** The routes of the queue, of its jobs, and of what starts one. */
export function queueRoutes(management: Management, kinds: Settings['kinds']): readonly Route[] {
  const setPaused = (verb: 'pause' | 'resume', summary: string): Route =>
    route({
      method: 'POST',
      path: `/${verb}`,
      description: { id: `${verb}Queue`, summary, answers: { '200': anyObject('How the queue stands.') } },
      handle: async () => {
        await management.setPaused(verb === 'pause')
        return jsonResponse(200, { queue: serializeStatus(management.status()) })
      },
    })
  return [
    route({
      method: 'GET',
      path: '/jobs',
      query: schemas.jobsQuery,
      description: {
        id: 'jobs',
        summary: 'Jobs, newest first',
        answers: { '200': answer('A page.', schemas.jobPage) },
      },
      handle: async ({ query }) => {
        const found = await management.jobs(query)
        const last = found.length === query.limit ? found.at(-1) : undefined
        return jsonResponse(200, { jobs: found.map(serializeJob), next: last ? String(last.id) : null })
      },
    }),
    route({
      method: 'GET',
      path: '/events',
      description: { id: 'events', summary: 'What happens in the queue', answers: EVENTS },
      handle: async ({ req, res }) =>
        sendEvents(req, res, queueEvents(management.events(disconnectSignal(res)))),
    }),
    setPaused('pause', 'Begin nothing new, in no process'),
    setPaused('resume', 'Begin new work again'),
    ...jobRoutes(management),
    ...startRoutes(management, kinds),
  ]
}
