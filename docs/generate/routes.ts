/** The page of routes, from the OpenAPI document of an app with uploads. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { createArtwork, tmdb, uploads } from '../../src/index.js'
import { page, tableOf } from './markdown.js'

interface Operation {
  readonly summary?: string
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required?: boolean }[]
  readonly requestBody?: { readonly content?: Readonly<Record<string, unknown>> }
  readonly responses?: Readonly<Record<string, unknown>>
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

const VERBS = ['get', 'post', 'put', 'delete', 'head']

/** The document, as an app serves it. */
async function openApi(): Promise<Document> {
  const directory = mkdtempSync(join(tmpdir(), 'artwork-routes-'))
  const artwork = await createArtwork({
    directory,
    sources: [tmdb(), uploads({ authorize: () => true, namespaces: ['photos'] })],
    manage: { authorize: () => true },
    logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  })
  const server = createServer(express().use('/api/images', artwork.manageRouter))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    return (await (await fetch(`http://127.0.0.1:${port}/api/images/openapi.json`)).json()) as Document
  } finally {
    server.closeAllConnections()
    server.close()
    await artwork.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

function row(path: string, verb: string, operation: Operation): readonly string[] {
  const named = (where: string): string =>
    (operation.parameters ?? [])
      .filter((parameter) => parameter.in === where)
      .map(({ name, required }) => `\`${name}\`${required === true ? '' : '?'}`)
      .join(', ')
  return [
    `\`${verb.toUpperCase()} ${path}\``,
    operation.summary ?? '',
    [named('query'), Object.keys(operation.requestBody?.content ?? {}).join(', ')].filter(Boolean).join('; '),
    Object.keys(operation.responses ?? {}).join(', '),
  ]
}

/** Makes the page. */
export async function routesPage(): Promise<string> {
  const { paths } = await openApi()
  const rows = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([verb]) => VERBS.includes(verb))
      .map(([verb, operation]) => row(path, verb, operation)),
  )
  return page(
    'Routes',
    'Every route of the routers, with the management router mounted at `/api/images` and the others at their defaults (`urls`). An app serves the same with schemas, at `openapi.json` below the management router. [HTTP and caching](../http.md) says what images are answered with.',
    tableOf(['route', 'what it does', 'query; body', 'statuses'], rows),
    'Pictures: `GET /images/{kind}/{variant}/{id}` (`imagesRouter`), `GET /artwork/local/{path}` (`localRouter`) and `GET /static/images/placeholder….svg` are answered by `artwork.router`, with 200, 206, 302 (to its placeholder, while local artwork is fetched anew), 304, 400, 403, 404, 412, 413, 415, 416, 422, 502, 503 and 504 ([HTTP and caching](../http.md), [Error codes](errors.md)).',
    '`GET /health`, `GET /ready` and `GET /metrics` are those of `artwork.healthRouter` ([Metrics and health](../metrics.md)); the pages of the dashboard lie below `dashboard` of the management router ([Dashboard](../dashboard.md)).',
  )
}
