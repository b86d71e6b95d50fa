/**
 * Routes as tables: the path, the verb, what is taken, what is answered and who answers stand in one entry, which is
 * matched, run and printed in the OpenAPI document. Express's own matching is not used here: it answers a wrong verb or a
 * broken escape before anybody has been authorised, and in Express 4 otherwise than in 5.
 */
import type { ServerResponse } from 'node:http'
import type { Request } from 'express'
import type { z } from 'zod'
import { type HttpResponse, methodResponse } from '../../http/response.js'
import { pathSegments } from '../../model/address.js'
import { ArtworkError } from '../../model/failure.js'
import type { UploadAction } from '../../sources/uploads.js'
import type { Description } from './openapi.js'
import { problemsOf } from './problems.js'
import { readUrl } from './respond.js'

/** The verbs that a route may have; HEAD is GET without its body. */
export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

/** A request that found its route. */
export interface Call<Query = undefined, Body = undefined> {
  readonly req: Request
  readonly res: ServerResponse
  /** The parameters of the path, decoded. */
  param(name: string): string
  readonly query: Query
  readonly body: Body
}

/** An entry of a table. */
export interface RouteDefinition<Query extends z.ZodType, Body extends z.ZodType> {
  readonly method: Method
  /** As OpenAPI writes it: `/jobs/{id}`. */
  readonly path: string
  /** What `authorize` of uploads is asked about. */
  readonly action?: UploadAction
  /** Whether the last parameter takes the rest of the path, slashes and all. */
  readonly takesRest?: boolean
  /** What the query may hold; anything else in it is ignored. */
  readonly query?: Query
  /** The JSON of the body. */
  readonly body?: Body
  /** Most bytes of it, where they are not as many as of other routes. */
  readonly maxBodyBytes?: number
  /** For the OpenAPI document; a route without is not in it. */
  readonly description?: Description
  /** Undefined where a router behind this one answers. Answers nothing where it has written the answer itself. */
  readonly handle?: (
    call: Call<z.output<Query>, z.output<Body>>,
  ) => Promise<HttpResponse | undefined> | HttpResponse
}

/** An entry whose types are checked. */
export type Route = Omit<RouteDefinition<z.ZodType, z.ZodType>, 'handle'> & {
  readonly handle?: (call: Call<unknown, unknown>) => Promise<HttpResponse | undefined>
}

/** Checks the types of an entry: its handler is given what its schemas make of the request. */
export const route = <Query extends z.ZodType = z.ZodUndefined, Body extends z.ZodType = z.ZodUndefined>({
  handle,
  ...definition
}: RouteDefinition<Query, Body>): Route => ({
  ...definition,
  // What is given has gone through the schemas.
  ...(handle && { handle: async (call) => handle(call as Call<z.output<Query>, z.output<Body>>) }),
})

/** The routes of one path. */
export interface Match {
  readonly params: Readonly<Record<string, string>>
  /** Undefined for a verb that the path does not have. */
  routeFor(method: string): Route | undefined
  /** Whether any verb is answered by this table. */
  readonly isAnswered: boolean
  /** The verbs, as `Allow` has them. */
  readonly allow: string
}

const NAME = /^\{(\w+)\}$/

/** The parameters in a path, undefined where it is another one. */
function matched(pattern: readonly string[], segments: readonly string[], takesRest: boolean) {
  const last = pattern.length - 1
  if (takesRest ? segments.length <= last : segments.length !== pattern.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, part] of pattern.entries()) {
    const name = NAME.exec(part)?.[1]
    const text = takesRest && index === last ? segments.slice(last).join('/') : (segments[index] ?? '')
    if (name === undefined ? part !== text : text === '') return undefined
    if (name !== undefined) params[name] = text
  }
  return params
}

/** Makes a table; of two paths that match, the first counts. */
export function createRouteTable(routes: readonly Route[]): (path: string) => Match | undefined {
  const paths = new Map<string, Route[]>()
  for (const one of routes) paths.set(one.path, [...(paths.get(one.path) ?? []), one])
  const entries = [...paths].map(([path, ofPath]) => {
    const methods = ofPath.map(({ method }) => method)
    const verbs = methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
    return {
      pattern: path.split('/').slice(1),
      takesRest: ofPath.some(({ takesRest }) => takesRest === true),
      routeFor: (method: string) => ofPath.find((one) => one.method === (method === 'HEAD' ? 'GET' : method)),
      isAnswered: ofPath.some(({ handle }) => handle !== undefined),
      allow: [...verbs, 'OPTIONS'].join(', '),
    }
  })
  return (path) => {
    const segments = segmentsOf(path)
    for (const { pattern, takesRest, ...rest } of entries) {
      const params = matched(pattern, segments, takesRest)
      if (params !== undefined) return { params, ...rest }
    }
    return undefined
  }
}

/** The segments of a path; where one is no plain name (an id may have an encoded slash) it is decoded as far as it can be. */
function segmentsOf(path: string): readonly string[] {
  const trimmed = path === '' ? '/' : path.replace(/(?<=.)\/$/, '')
  return pathSegments(trimmed) ?? trimmed.split('/').slice(1).map(decoded)
}
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The answer to OPTIONS (204) and to a verb that a path does not have (405). */
export function otherMethod(method: string, allow: string): HttpResponse {
  const { headers, ...reply } = methodResponse(method, '')
  return { ...reply, headers: { ...headers, Allow: allow } }
}

/** Reads a request as its route wants it, and answers it. @param readBody reads the body of a route that has one */
export async function runRoute(
  one: Route,
  { req, res, params }: Pick<Call, 'req' | 'res'> & Pick<Match, 'params'>,
  readBody: (req: Request, schema: z.ZodType, limits: { readonly maxBytes?: number }) => Promise<unknown>,
): Promise<HttpResponse | undefined> {
  const query = one.query && queryOf(req.url, one.query)
  const body =
    one.body &&
    (await readBody(req, one.body, one.maxBodyBytes === undefined ? {} : { maxBytes: one.maxBodyBytes }))
  return one.handle?.({ req, res, param: (name) => params[name] ?? '', query, body })
}

/** @throws ArtworkError `invalid` (400), with the parameter and what is wrong with it */
function queryOf(url: string, schema: z.ZodType): unknown {
  // Of one that is given twice, the first counts.
  const given = Object.fromEntries([...readUrl(url).query].reverse().filter(([, value]) => value !== ''))
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  const messages = problemsOf(parsed.error, given).map(({ loc, msg }) =>
    `${loc.slice(1).join('.')}: ${msg}`.replace(/^: /, ''),
  )
  throw new ArtworkError('invalid', messages.join('; '))
}
