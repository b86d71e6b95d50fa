/** Tables of routes: one entry is matched, run and described. */
import express from 'express'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { jsonResponse } from '#src/http/response.js'
import type { Management } from '#src/management/management.js'
import { managementRoutes } from '#src/web/management/management-router.js'
import { readJson } from '#src/web/shared/json.js'
import { anyObject, pathsOf } from '#src/web/shared/openapi.js'
import { readUrl } from '#src/web/shared/respond.js'
import { createRouteTable, otherMethod, type Route, route, runRoute } from '#src/web/shared/routes.js'
import { send } from '#src/web/shared/send.js'
import { listen } from '../../support/toolkit.js'

const description = { id: 'x', summary: 'X', answers: { '200': anyObject('X.') } }
const reply = (name: string) => ({ handle: () => jsonResponse(200, { name }) })
const table: readonly Route[] = [
  route({ method: 'GET', path: '/', ...reply('root') }),
  route({
    method: 'GET',
    path: '/things',
    query: z.object({ limit: z.coerce.number().max(5).default(2) }),
    handle: ({ query }) => jsonResponse(200, query),
  }),
  route({
    method: 'POST',
    path: '/things',
    body: z.object({ size: z.number() }),
    description,
    handle: ({ body }) => jsonResponse(201, { size: body.size + 1 }),
  }),
  route({ method: 'GET', path: '/things/all', ...reply('all') }),
  route({
    method: 'GET',
    path: '/things/{id}',
    handle: ({ param }) => jsonResponse(200, { id: param('id') }),
  }),
  route({
    method: 'GET',
    path: '/files/{path}',
    takesRest: true,
    handle: ({ param }) => jsonResponse(200, { path: param('path') }),
  }),
  route({ method: 'GET', path: '/elsewhere/{id}', description: { ...description, isOpen: true } }),
]

async function served() {
  const find = createRouteTable(table)
  const app = express().use((req, res, next) => {
    const match = find(readUrl(req.url).path)
    if (match === undefined) return next()
    const found = match.routeFor(req.method)
    if (found === undefined) return send(req, res, otherMethod(req.method, match.allow))
    runRoute(found, { req, res, params: match.params }, (from, schema) =>
      readJson(from, schema, { timeout: 5000 }),
    )
      .then((answer) => answer && send(req, res, answer))
      .catch((error) => send(req, res, jsonResponse(error.status ?? 422, { detail: error.message })))
  })
  const { url } = await listen(app)
  return async (path: string, init?: RequestInit) => {
    const answer = await fetch(url + path, init)
    const text = await answer.text()
    return {
      status: answer.status,
      allow: answer.headers.get('allow'),
      body: text.startsWith('{') ? JSON.parse(text) : text,
    }
  }
}

describe('a table of routes', () => {
  test.each([
    ['/', { name: 'root' }],
    ['/things', { limit: 2 }],
    ['/things/', { limit: 2 }],
    ['/things?limit=4&other=1', { limit: 4 }],
    ['/things?limit=', { limit: 2 }],
    ['/things?limit=4&limit=3', { limit: 4 }],
    ['/things/all', { name: 'all' }],
    ['/things/7', { id: '7' }],
    ['/things/a%2Fb', { id: 'a/b' }],
    ['/things/%zz', { id: '%zz' }],
    ['/files/a/b%20c', { path: 'a/b c' }],
  ])('%s', async (path, body) => {
    expect(await (await served())(path)).toMatchObject({ status: 200, body })
  })
  test.each(['/other', '/things/7/more', '/files', '/things//'])('%s is none', async (path) => {
    expect((await (await served())(path)).status).toBe(404)
  })
  test('a body goes through its schema; HEAD is GET; another verb is refused with those that there are', async () => {
    const ask = await served()
    const post = (body: string) =>
      ask('/things', { method: 'POST', body, headers: { 'content-type': 'application/json' } })
    expect(await post('{"size":2}')).toMatchObject({ status: 201, body: { size: 3 } })
    expect((await post('{"size":"2"}')).status).toBe(422)
    expect((await ask('/things', { method: 'HEAD' })).status).toBe(200)
    expect(await ask('/things', { method: 'DELETE' })).toMatchObject({
      status: 405,
      allow: 'GET, HEAD, POST, OPTIONS',
    })
    expect(await ask('/things', { method: 'OPTIONS' })).toMatchObject({ status: 204 })
    expect(await ask('/things?limit=9')).toMatchObject({
      status: 400,
      body: { detail: expect.stringMatching(/^limit: /) },
    })
  })
  test('a path that another router answers is in the document, and not answered here', () => {
    const match = createRouteTable(table)('/elsewhere/1')
    expect(match).toMatchObject({ isAnswered: false, allow: 'GET, HEAD, OPTIONS' })
    expect(Object.keys(pathsOf(table, '/api'))).toEqual(['/api/things', '/api/elsewhere/{id}'])
    expect(pathsOf(table, '/api')['/api/things']).toMatchObject({
      post: { operationId: 'x', requestBody: { required: true } },
    })
  })
})

describe('the routes of the management API', () => {
  const routes = managementRoutes({} as Management, { kinds: new Map() })
  test('each is described, under an id of its own', () => {
    const ids = routes.map(({ description: described }) => described?.id)
    expect(ids).not.toContain(undefined)
    expect(new Set(ids).size).toBe(ids.length)
  })
  test('one more entry is matched and in the document', () => {
    const planted = [
      route({
        method: 'POST',
        path: '/images/{name}/check',
        description: { ...description, id: 'checkImage' },
        ...reply('check'),
      }),
      ...routes,
    ]
    expect(createRouteTable(planted)('/images/x/check')?.routeFor('POST')).toBe(planted[0])
    expect(pathsOf(planted, '')['/images/{name}/check']).toMatchObject({
      post: { operationId: 'checkImage' },
    })
  })
})
