/** The OpenAPI 3.1 document of the JSON API, made from the schemas that check its bodies. */
import { KIND } from '../../model/address.js'
import type { Settings } from '../../options/settings.js'
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
import { managementPaths } from './openapi-paths.js'
import * as schemas from './schemas.js'

const NAMESPACE = parameter('namespace', 'Name of the namespace.', KIND.source)
const IMAGE = parameter('image_id', 'Id of the image.', '^[A-Za-z0-9_][A-Za-z0-9._:%~-]*$')
const VARIANT = parameter(
  'variant',
  'How the image should look, in canonical text.',
  '^[a-z][a-z0-9_-]{0,127}$',
)

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
