/** Uploads: a namespace is a kind, and an id names the bytes (PARITY, seed 3). */
import type { IncomingMessage } from 'node:http'
import { type Address, KIND, makeAddress } from '../model/address.js'
import { ArtworkError } from '../model/failure.js'
import { readMeasure, SIZES } from '../model/units.js'
import { MAX_SIDE } from '../model/variant.js'
import { isExactOrigin } from '../model/web-url.js'
import type { Source } from './source.js'

/** What a request does with uploads. */
export type UploadAction = 'upload' | 'delete' | 'list' | 'fetch' | 'proxy'

/** What may differ between namespaces. */
export interface NamespaceOptions {
  /** Largest upload, bytes or text such as `'10 MiB'`. @default 10 MiB */
  readonly maxBytes?: number | string
  /** Box that uploads are fitted into, pixels; nothing is enlarged. @default 1200 */
  readonly fit?: number
  /** Box of what is fetched for a namespace (`/proxy`), pixels. @default 800 */
  readonly fetchFit?: number
  /** Stores the bytes as they came, metadata and all, instead of encoding them anew. @default false */
  readonly keepOriginal?: boolean
}

/** The options of uploads. */
export interface UploadsOptions extends NamespaceOptions {
  /** The namespaces, or the rules of each. Left out: any name that no other source has. */
  readonly namespaces?: readonly string[] | Readonly<Record<string, NamespaceOptions>>
  /** Where uploads are stored. @default `uploads` below the toolkit's directory */
  readonly directory?: string
  /**
   * Authorizes a request, before its body is read. Without it every verb that writes, lists or fetches is closed.
   * @param req the request: headers, and whatever the app's own middleware put on it
   * @returns true to allow; false for 403; `'unauthenticated'` for 401
   */
  readonly authorize?: (
    req: IncomingMessage,
    action: UploadAction,
  ) => boolean | 'unauthenticated' | Promise<boolean | 'unauthenticated'>
  /** Exact origins whose pages may use the JSON API, credentials included: `['https://app.example.com']`. @default none */
  readonly cors?: readonly string[]
  /** How long clients may keep an upload, seconds: its URL names its content. @default 86,400 */
  readonly maxAge?: number
  /** Seconds in which a body must have come whole. @default 60 */
  readonly bodyTimeout?: number
  /** Name of the proxy pool for `/fetch` and `/proxy` where the request names none. @default every pool */
  readonly pool?: string
}

/** The rules of a namespace, complete. Bytes and pixels. */
export interface Namespace {
  readonly name: string
  readonly maxBytes: number
  readonly fit: number
  readonly fetchFit: number
  readonly keepOriginal: boolean
}

/** A source of uploads, with its rules. */
export interface UploadSource extends Source {
  readonly uploads: {
    readonly directory: string | undefined
    readonly authorize: UploadsOptions['authorize']
    readonly cors: readonly string[]
    /** Ms. */
    readonly bodyTimeout: number
    readonly pool: string | undefined
    /** Box of what is fetched for no namespace, pixels. */
    readonly fetchFit: number
    /** The rules of a namespace. @throws ArtworkError `invalid` (400) for a name that is none */
    namespace(name: string): Namespace
  }
}

/** Whether a source is made by {@link uploads}. */
export const isUploadSource = (source: Source): source is UploadSource => 'uploads' in source

/** Names that are routes of their own. */
const ROUTES: ReadonlySet<string> = new Set(['fetch', 'proxy'])

/** A source of uploads in which kinds of other sources are never namespaces. */
export function outgoing(source: UploadSource, taken: ReadonlySet<string>): UploadSource {
  const { owns, uploads: rules } = source
  return {
    ...source,
    owns: (kind) => !taken.has(kind) && owns?.(kind) === true,
    uploads: {
      ...rules,
      namespace: (name) => {
        if (taken.has(name)) throw new ArtworkError('invalid', 'the namespace is not known')
        return rules.namespace(name)
      },
    },
  }
}

/**
 * The source of `/images/{namespace}/{image_id}`.
 * @throws TypeError for a bad name or bound, naming it, the rule and the value
 */
export function uploads(options: UploadsOptions = {}): UploadSource {
  const { namespaces, maxAge = 86_400, bodyTimeout = 60 } = options
  const listed: ReadonlyMap<string, NamespaceOptions> | undefined =
    namespaces === undefined
      ? undefined
      : new Map(isList(namespaces) ? namespaces.map((name) => [name, {}]) : Object.entries(namespaces))
  for (const name of listed?.keys() ?? []) {
    const rule = ROUTES.has(name)
      ? 'must not be a reserved name'
      : KIND.test(name)
        ? undefined
        : 'must be up to 100 letters, digits, full stops, _ and -, beginning with a letter or digit'
    if (rule !== undefined) throw new TypeError(`uploads.namespaces ${rule}, got ${JSON.stringify(name)}`)
  }
  const common = settle('uploads', options, {
    maxBytes: 10 * 1024 ** 2,
    fit: 1200,
    fetchFit: 800,
    keepOriginal: false,
  })
  const rules = new Map(
    [...(listed ?? [])].map(([name, own]) => [
      name,
      { name, ...settle(`uploads.namespaces.${name}`, own, common) },
    ]),
  )
  checkCount('uploads.maxAge', maxAge, 31_536_000)
  checkCount('uploads.bodyTimeout', bodyTimeout, 3600)

  const owns = (kind: string): boolean => listed === undefined && KIND.test(kind) && !ROUTES.has(kind)
  const namespace = (name: string): Namespace => {
    const known = rules.get(name) ?? (owns(name) ? { name, ...common } : undefined)
    if (known === undefined) throw new ArtworkError('invalid', 'the namespace is not known')
    return known
  }
  const original = (address: Address): Address => makeAddress(address.kind, 'original', address.id)
  return {
    name: 'uploads',
    kinds: [...rules.keys()],
    owns,
    isHosted: true,
    isLasting: true,
    defaultVariant: () => 'original',
    nativeWidths: () => [],
    isNative: (_kind, variant) => variant.base === 'original',
    check: ({ address }) => {
      namespace(address.kind)
      if (address.id.includes('/')) throw new ArtworkError('invalid', 'the image id is not valid')
      return { address, original: original(address) }
    },
    originalsOf: (address) => [original(address)],
    locate: () => {
      throw new ArtworkError('unknown_image', 'there is no such image')
    },
    claim: () => undefined,
    pool: options.pool,
    cache: { kind: 'immutable', maxAge },
    uploads: {
      directory: options.directory,
      authorize: options.authorize,
      cors: originsOf(options.cors),
      bodyTimeout: bodyTimeout * 1000,
      pool: options.pool,
      fetchFit: common.fetchFit,
      namespace,
    },
  }
}

/** @throws TypeError that names the option, the rule and the value */
function originsOf(given: unknown): readonly string[] {
  if (given === undefined) return []
  if (!Array.isArray(given) || !given.every(isExactOrigin))
    throw new TypeError(
      `uploads.cors must be a list of exact origins such as "https://app.example.com", without a path or a *, got ${JSON.stringify(given)}`,
    )
  return given
}

const isList = (
  namespaces: readonly string[] | Readonly<Record<string, NamespaceOptions>>,
): namespaces is readonly string[] => Array.isArray(namespaces)

function checkCount(name: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new TypeError(`${name} must be a whole number from 1 to ${most}, got ${JSON.stringify(value)}`)
}

/** The given rules over the defaults. @throws TypeError */
function settle(
  where: string,
  given: NamespaceOptions,
  otherwise: Omit<Namespace, 'name'>,
): Omit<Namespace, 'name'> {
  const {
    maxBytes,
    fit = otherwise.fit,
    fetchFit = otherwise.fetchFit,
    keepOriginal = otherwise.keepOriginal,
  } = given
  const bytes = maxBytes === undefined ? otherwise.maxBytes : readMeasure(maxBytes, SIZES)
  if (bytes === undefined || bytes < 1)
    throw new TypeError(
      `${where}.maxBytes must be bytes or text such as "10 MiB", got ${JSON.stringify(maxBytes)}`,
    )
  checkCount(`${where}.fit`, fit, MAX_SIDE)
  checkCount(`${where}.fetchFit`, fetchFit, MAX_SIDE)
  return { maxBytes: bytes, fit, fetchFit, keepOriginal }
}
