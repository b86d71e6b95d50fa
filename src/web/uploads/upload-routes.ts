/** What can be done with uploads over HTTP, and with images that are fetched for a client (PARITY, seed 3). */
import type { Request } from 'express'
import type { z } from 'zod'
import type { Limiter } from '../../concurrency.js'
import { type HttpResponse, jsonResponse } from '../../http/response.js'
import { KIND } from '../../model/address.js'
import { ArtworkError, asArtworkError } from '../../model/failure.js'
import type { UploadSource } from '../../sources/uploads.js'
import type { Uploads } from '../../uploads/uploads.js'
import { announcedLength } from '../shared/body.js'
import { BadBody, jsonFailure } from '../shared/json.js'
import { answer, failed, type Json, jsonContent, parameter, schemaOf } from '../shared/openapi.js'
import { type Call, type Route, route } from '../shared/routes.js'
import * as schemas from '../shared/schemas.js'
import { disconnectSignal } from '../shared/send.js'
import { serializeListed, serializeUpload } from './serialize.js'
import { bodyKind, imageOf, largestBody, tooLarge } from './upload-body.js'

const NAMESPACE = parameter('namespace', 'Name of the namespace.', KIND.source)
const IMAGE = parameter('image_id', 'Id of the image.', '^[A-Za-z0-9_][A-Za-z0-9._:%~-]*$')
const VARIANT = parameter(
  'variant',
  'How the image should look, in canonical text.',
  '^[a-z][a-z0-9_-]{0,127}$',
)
const NO_IMAGE = { '404': failed('There is no such image.') }
const BINARY = { schema: { type: 'string', format: 'binary' } }
const FORM = {
  schema: {
    type: 'object',
    required: ['file'],
    properties: {
      file: { type: 'string', format: 'binary', description: 'The image; any field name does.' },
    },
  },
}
const UPLOAD_BODY = {
  required: true,
  content: {
    ...jsonContent(schemas.uploadBody),
    'multipart/form-data': FORM,
    'image/*': BINARY,
    'application/octet-stream': BINARY,
  },
}
const plain = (description: string): Json => ({
  description,
  content: { 'text/plain': { schema: { type: 'string' } } },
})
const image = (description: string): Json => ({ description, content: { 'image/*': BINARY } })
const IMAGE_ANSWERS = {
  '200': image('The image.'),
  '206': image('A range of it.'),
  '304': { description: 'Unchanged.' },
  '400': plain('The path is not valid.'),
  '401': plain('Of a private namespace: `mayRead` answered unauthenticated.'),
  '403': plain('Of a private namespace: `mayRead` refused.'),
  '404': plain('There is no such image.'),
  '412': plain('A precondition does not hold.'),
  '416': plain('There is no such range.'),
  '503': plain('Too much to do; with Retry-After.'),
}

/** GET of the images themselves, which the router of images answers. */
const IMAGES: readonly Route[] = [
  route({
    method: 'GET',
    path: '/{namespace}/{image_id}',
    description: {
      id: 'getImage',
      summary: 'The image as it is stored',
      parameters: [NAMESPACE, IMAGE],
      answers: IMAGE_ANSWERS,
      isOpen: true,
    },
  }),
  route({
    method: 'GET',
    path: '/{namespace}/{variant}/{image_id}',
    description: {
      id: 'getRendition',
      summary: 'The image as a variant',
      parameters: [NAMESPACE, VARIANT, IMAGE],
      answers: {
        ...IMAGE_ANSWERS,
        '413': plain('Too many pixels.'),
        '415': plain('The format is not allowed.'),
        '422': plain('The image cannot be decoded.'),
        '502': plain('The decoder failed.'),
        '504': plain('The decoder took too long.'),
      },
      isOpen: true,
    },
  }),
]

/** Origins that are ours, as this client sees us. */
const ownOrigins = ({ headers: { host } }: Request): readonly string[] =>
  host === undefined ? [] : [`http://${host}`, `https://${host}`]

/** What a client asks for is not valid: said as the body's own mistakes are. @throws BadBody, or what was thrown */
function refuseBody(thrown: unknown, fieldOf: (message: string) => string): never {
  const failure = asArtworkError(thrown)
  if (failure.code !== 'invalid') throw thrown
  throw new BadBody([{ loc: ['body', fieldOf(failure.message)], msg: failure.message, type: 'value_error' }])
}
const fetchOptions = ({
  res,
  body: { pool },
}: Call<undefined, { readonly pool?: string | null | undefined }>) => ({
  ...(typeof pool === 'string' && { pool }),
  signal: disconnectSignal(res),
})

/** Images that are fetched for a client. */
function fetchRoutes(verbs: Uploads): readonly Route[] {
  const fetchImage = async (
    call: Call<undefined, z.output<typeof schemas.fetchBody>>,
  ): Promise<HttpResponse> => {
    try {
      const found = await verbs.fetch(call.body.url, fetchOptions(call), ownOrigins(call.req))
      return jsonResponse(200, { data: found.bytes.toString('base64'), mime_type: found.contentType })
    } catch (error) {
      const { code } = asArtworkError(error)
      // A source that has no such image failed us; this route is there all the same.
      if (code === 'not_found' || code === 'gone') return jsonFailure(error, () => 502)
      return refuseBody(error, (message) => (message.includes('pool') ? 'pool' : 'url'))
    }
  }
  return [
    route({
      method: 'POST',
      path: '/fetch',
      action: 'fetch',
      body: schemas.fetchBody,
      description: {
        id: 'fetchImage',
        summary: 'Fetch an image and answer it in base64',
        answers: {
          '200': answer('The image, fitted into the box of fetched images.', schemas.fetched),
          ...NO_IMAGE,
        },
        errors: ['502', '503', '504'],
      },
      handle: fetchImage,
    }),
    route({
      method: 'POST',
      path: '/{namespace}/proxy',
      action: 'proxy',
      body: schemas.proxyBody,
      maxBodyBytes: 1024 ** 2,
      description: {
        id: 'proxyImages',
        summary: 'Fetch images and keep them',
        parameters: [NAMESPACE],
        answers: { '200': answer('Where each is kept, and why the others are not.', schemas.proxied) },
        errors: ['503'],
      },
      handle: async (call) => {
        const options = fetchOptions(call)
        const { urls, images, errors } = await verbs
          .proxy(call.param('namespace'), call.body.urls, options, ownOrigins(call.req))
          .catch((error) => refuseBody(error, () => 'pool'))
        const stored = Object.entries(images).map(([url, one]) => [url, serializeUpload(one)])
        return jsonResponse(200, {
          urls,
          ...(stored.length > 0 && { images: Object.fromEntries(stored) }),
          ...(Object.keys(errors).length > 0 && { errors }),
        })
      },
    }),
  ]
}

/** POST and PUT of an image. */
function saveRoutes(verbs: Uploads, timeout: number, bodies: Limiter): readonly Route[] {
  const save = async ({ req, res, param }: Call): Promise<HttpResponse> => {
    const { name, maxBytes } = verbs.namespace(param('namespace'))
    const kind = bodyKind(req)
    const bound = largestBody(kind, maxBytes)
    if ((announcedLength(req) ?? 0) > bound) throw tooLarge()
    const take = async () => {
      const bytes = await imageOf(req, kind, { maxBytes: bound, timeout })
      if (bytes.length > maxBytes) throw tooLarge()
      return verbs.save(name, bytes)
    }
    const weight = announcedLength(req) ?? bound
    const stored = await bodies.run(take, { weight, signal: disconnectSignal(res) })
    return jsonResponse(200, serializeUpload(stored))
  }
  const saveRoute = (method: 'POST' | 'PUT', id: string): Route =>
    route({
      method,
      path: '/{namespace}',
      action: 'upload',
      description: {
        id,
        summary: 'Keep an image',
        description: 'The same bytes are the same image: uploading them again answers the same id.',
        parameters: [NAMESPACE],
        requestBody: UPLOAD_BODY,
        answers: { '200': answer('It is kept, and on disk.', schemas.uploaded) },
        errors: ['408', '413', '415', '422', '502', '503', '504'],
      },
      handle: save,
    })
  return [saveRoute('POST', 'uploadImage'), saveRoute('PUT', 'putImage')]
}

/** The list of a namespace. */
const listRoute = (verbs: Uploads): Route =>
  route({
    method: 'GET',
    path: '/{namespace}',
    action: 'list',
    query: schemas.uploadsQuery,
    description: {
      id: 'listImages',
      summary: 'List the images of a namespace',
      parameters: [NAMESPACE],
      answers: {
        '200': answer('A page, in the order of ids.', schemas.listed),
        '400': {
          description: 'A parameter is not valid; as text where there is no such namespace.',
          content: {
            'application/json': { schema: schemaOf(schemas.failure, 'output') },
            'text/plain': { schema: { type: 'string' } },
          },
        },
      },
      errors: ['503'],
    },
    handle: async ({ param, query }) => {
      const page = await verbs.list(param('namespace'), query)
      const images = page.images.map(serializeListed)
      return jsonResponse(200, { images, next: page.next ?? null })
    },
  })

/** DELETE of a namespace, and of one image. */
function deleteRoutes(verbs: Uploads): readonly Route[] {
  return [
    route({
      method: 'DELETE',
      path: '/{namespace}',
      action: 'delete',
      description: {
        id: 'deleteImages',
        summary: 'Delete every image of a namespace',
        parameters: [NAMESPACE],
        answers: { '200': answer('How many there were.', schemas.deleted) },
        errors: ['503'],
      },
      handle: async ({ param }) =>
        jsonResponse(200, { deleted_count: await verbs.removeAll(param('namespace')) }),
    }),
    route({
      method: 'DELETE',
      path: '/{namespace}/{image_id}',
      action: 'delete',
      description: {
        id: 'deleteImage',
        summary: 'Delete an image',
        parameters: [NAMESPACE, IMAGE],
        answers: { '200': answer('It is gone.', schemas.deleted), ...NO_IMAGE },
        errors: ['503'],
      },
      handle: async ({ param }) => {
        if (await verbs.remove(param('namespace'), param('image_id')))
          return jsonResponse(200, { deleted_count: 1 })
        throw new ArtworkError('unknown_image', 'there is no such image')
      },
    }),
  ]
}

/** The routes below the path of images; of two that match a path, the first counts. */
export const createUploadRoutes = (
  verbs: Uploads,
  { uploads }: UploadSource,
  bodies: Limiter,
): readonly Route[] => [
  ...fetchRoutes(verbs),
  listRoute(verbs),
  ...saveRoutes(verbs, uploads.bodyTimeout, bodies),
  ...IMAGES,
  ...deleteRoutes(verbs),
]
