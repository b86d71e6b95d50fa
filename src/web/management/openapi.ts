/** The OpenAPI 3.1 document of the JSON API, printed from the tables of its routes. */
import type { Settings } from '../../options/settings.js'
import { type Json, pathsOf } from '../shared/openapi.js'
import type { Route } from '../shared/routes.js'

/** What is in the document. */
export interface DocumentParts {
  /** Path of the management API. */
  readonly mount: string
  /** Its routes. */
  readonly routes: readonly Route[]
  /** Those of uploads, below the path of images; none where there are no uploads. */
  readonly uploadRoutes: readonly Route[]
}

/** Prints the document. */
export function openApiDocument(
  { base, images }: Pick<Settings['urls'], 'base' | 'images'>,
  { mount, routes, uploadRoutes }: DocumentParts,
): Json {
  return {
    openapi: '3.1.0',
    info: {
      title: 'express-artwork',
      version: '1',
      description:
        'Uploads, fetching for others, management, and the images themselves. Every failure of the JSON API is `{ "detail": … }`.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: base === '' ? '/' : base }],
    paths: { ...pathsOf(uploadRoutes, images), ...pathsOf(routes, mount) },
    components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
  }
}
