/** OpenAPI 3.1, printed from tables of routes: an operation for each entry, with the schemas that check its requests. */
import * as z from 'zod'
import * as schemas from './schemas.js'

/** A part of the document. */
export type Json = Readonly<Record<string, unknown>>

/** What the document says of a route beside its path and schemas. */
export interface Description {
  readonly id: string
  readonly summary: string
  readonly description?: string
  /** The parameters of its path. */
  readonly parameters?: readonly Json[]
  /** A body that is no JSON, or not that alone. */
  readonly requestBody?: Json
  /** What is answered, by status. */
  readonly answers: Json
  /** Failures with a text that all routes share, beside 400, 401 and 403, and those of a JSON body. */
  readonly errors?: readonly ErrorStatus[]
  /** Open to all: no token is asked for. */
  readonly isOpen?: boolean
}

/** A route as far as the document tells of it. */
export interface DescribedRoute {
  readonly method: string
  readonly path: string
  readonly query?: z.ZodType
  readonly body?: z.ZodType
  readonly description?: Description
}

/** The JSON schema of what a client sends (`input`) or is sent. */
export const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Json => {
  const { $schema: _which, ...json } = z.toJSONSchema(schema, { target: 'draft-2020-12', io })
  return json
}
/** The content of a JSON body. */
export const jsonContent = (schema: z.ZodType): Json => ({
  'application/json': { schema: schemaOf(schema, 'input') },
})
/** An answer in JSON. */
export const answer = (description: string, schema: z.ZodType): Json => ({
  description,
  content: { 'application/json': { schema: schemaOf(schema, 'output') } },
})
/** An answer in JSON of which no more is said. */
export const anyObject = (description: string): Json => ({
  description,
  content: { 'application/json': { schema: { type: 'object' } } },
})
/** A failure. */
export const failed = (description: string): Json => answer(description, schemas.failure)
/** A parameter of a path. */
export const parameter = (name: string, description: string, pattern: string): Json => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string', pattern },
})

const COMMON = {
  '400': failed('The path, or a parameter, is not valid.'),
  '401': failed('Who asks did not say who they are: `authorize` answered unauthenticated.'),
  '403': failed('Not authorised, or closed; a host that may not be asked.'),
  '408': failed('The body did not come in time.'),
  '413': failed('Too many bytes or pixels.'),
  '415': failed('Not an image of a known format, or a body of another type.'),
  '422': failed('The body is not valid, or an image cannot be decoded.'),
  '502': failed('A source, or a decoder, failed.'),
  '503': failed('Too much to do, or nothing can be kept; with Retry-After.'),
  '504': failed('A source, or a decoder, took too long.'),
}
type ErrorStatus = keyof typeof COMMON
const errors = (statuses: readonly ErrorStatus[]): Json =>
  Object.fromEntries(statuses.map((status) => [status, COMMON[status]]))

/** The parameters of a query. */
function queryParameters(schema: z.ZodType): readonly Json[] {
  const { properties } = schemaOf(schema, 'input')
  const all = typeof properties === 'object' && properties !== null ? Object.entries(properties) : []
  return all.map(([name, of]: [string, Json]) => ({
    name,
    in: 'query',
    description: String(of.description ?? name),
    schema: of,
  }))
}

function operation({ query, body, ...route }: DescribedRoute, described: Description): Json {
  const { id, summary, description, parameters = [], requestBody, answers, isOpen = false } = described
  const all = [...parameters, ...(query === undefined ? [] : queryParameters(query))]
  const ofBody: readonly ErrorStatus[] = body === undefined ? [] : ['408', '413', '415', '422']
  const content =
    requestBody ?? (body && { required: !body.safeParse({}).success, content: jsonContent(body) })
  return {
    [route.method.toLowerCase()]: {
      operationId: id,
      summary,
      ...(description !== undefined && { description }),
      ...(all.length > 0 && { parameters: all }),
      ...(!isOpen && { security: [{ bearer: [] }, {}] }),
      ...(content !== undefined && { requestBody: content }),
      responses: {
        ...(isOpen ? {} : errors(['400', '401', '403', ...ofBody, ...(described.errors ?? [])])),
        ...answers,
      },
    },
  }
}

/** The paths of a table below a mount path. */
export function pathsOf(routes: readonly DescribedRoute[], mount: string): Json {
  const paths: Record<string, Json> = {}
  for (const one of routes) {
    if (one.description === undefined) continue
    const path = `${mount}${one.path}`
    paths[path] = { ...paths[path], ...operation(one, one.description) }
  }
  return paths
}
