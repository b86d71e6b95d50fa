/** What the parts of the OpenAPI document share: schemas, parameters, and the answers to failures. */
import { z } from 'zod'
import * as schemas from './schemas.js'

/** A part of the document. */
export type Json = Readonly<Record<string, unknown>>

export const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Json => {
  const { $schema: _which, ...json } = z.toJSONSchema(schema, { target: 'draft-2020-12', io })
  return json
}
export const body = (schema: z.ZodType): Json => ({
  'application/json': { schema: schemaOf(schema, 'input') },
})
export const answer = (description: string, schema: z.ZodType): Json => ({
  description,
  content: { 'application/json': { schema: schemaOf(schema, 'output') } },
})
export const failed = (description: string): Json => answer(description, schemas.failure)
export const parameter = (name: string, description: string, pattern: string): Json => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string', pattern },
})
export const query = (name: string, description: string, schema: Json): Json => ({
  name,
  in: 'query',
  description,
  schema,
})

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
export const errors = (...statuses: readonly (keyof typeof COMMON)[]): Json =>
  Object.fromEntries(statuses.map((status) => [status, COMMON[status]]))

export const secured = [{ bearer: [] }, {}]
