/** Uploads: a namespace is a kind, and an id names the bytes (PARITY, seed 3). */
import type { IncomingMessage } from 'node:http'
import { type Address, KIND, makeAddress } from '../model/address.js'
import { ArtworkError } from '../model/failure.js'
import { readMeasure, SIZES } from '../model/units.js'
import { MAX_SIDE } from '../model/variant.js'
import { isExactOrigin } from '../model/web-url.js'
import type { AccessOptions } from './access.js'
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
  /**
   * Whether its images are for one client each: `Cache-Control: private`, nothing for CDNs, and no answer in the response cache
   * that is in front of Express. @default false, and true with `mayRead`
   */
  readonly private?: boolean
  /**
   * Whether a request may read an image, in whatever size; asked before each answer, and before it is known whether there is
   * such an image. A signature in the URL does not stand in for it. `/fetch` and `/proxy` answer none of these images.
   * @param req the request: headers, and whatever the app's own middleware before `artwork.router` put on it
   * @returns true to allow; false for 403; `'unauthenticated'` for 401. A throw is 403
   */
  readonly mayRead?: (
    req: IncomingMessage,
    imageId: string,
    namespace: string,
  ) => boolean | 'unauthenticated' | Promise<boolean | 'unauthenticated'>
  /** The same by the whole address, as sources have it: of a namespace that is listed with its rules. */
  readonly authorize?: AccessOptions['authorize']
  /**
   * How long clients may keep an image, seconds; 0, of a private namespace, is to ask about it each time.
   * @default 86,400: its URL names its content; 0 of a private namespace
   */
  readonly maxAge?: number
  /**
   * Exact origins whose pages may read its images by scripts and show them with `crossorigin`, credentials included:
   * `['https://app.example.com']`.
   * @default the option `cors` of `createArtwork`; none of a private namespace
   */
  readonly cors?: readonly string[]
}

/** The options of uploads; what may differ between namespaces is the rule of each that does not say otherwise. */
export interface UploadsOptions extends Omit<NamespaceOptions, 'cors' | 'authorize'> {
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
  readonly isPrivate: boolean
  readonly mayRead: NamespaceOptions['mayRead']
  readonly authorize: AccessOptions['authorize']
  /** How long clients may keep its images, seconds. */
  readonly maxAge: number
  /** Exact origins whose pages may read them; undefined where they are read as other images are. */
  readonly cors: readonly string[] | undefined
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
  const { namespaces, bodyTimeout = 60 } = options
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
  const cors = originsOf('uploads.cors', options.cors) ?? []
  const common = settle('uploads', { ...options, cors: undefined, authorize: undefined }, DEFAULTS)
  const rules = new Map(
    [...(listed ?? [])].map(([name, own]) => [
      name,
      { name, ...settle(`uploads.namespaces.${name}`, own, common) },
    ]),
  )
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
    cache: { kind: 'immutable', maxAge: common.maxAge },
    uploads: {
      directory: options.directory,
      authorize: options.authorize,
      cors,
      bodyTimeout: bodyTimeout * 1000,
      pool: options.pool,
      fetchFit: common.fetchFit,
      namespace,
    },
  }
}

/** @throws TypeError that names the option, the rule and the value */
function originsOf(where: string, given: unknown): readonly string[] | undefined {
  if (given === undefined) return undefined
  if (!Array.isArray(given) || !given.every(isExactOrigin))
    throw new TypeError(
      `${where} must be a list of exact origins such as "https://app.example.com", without a path or a *, got ${JSON.stringify(given)}`,
    )
  return given
}

const isList = (
  namespaces: readonly string[] | Readonly<Record<string, NamespaceOptions>>,
): namespaces is readonly string[] => Array.isArray(namespaces)

function checkCount(name: string, value: number, most: number, least = 1): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new TypeError(
      `${name} must be a whole number from ${least} to ${most}, got ${JSON.stringify(value)}`,
    )
}

const DAY = 86_400
const YEAR = 31_536_000
const DEFAULTS: Omit<Namespace, 'name'> = {
  ...{ maxBytes: 10 * 1024 ** 2, fit: 1200, fetchFit: 800, keepOriginal: false },
  ...{ isPrivate: false, mayRead: undefined, authorize: undefined, maxAge: DAY, cors: undefined },
}

/** Rules that may be given to a namespace, or to all: what is undefined was not. */
type Given = { readonly [Name in keyof NamespaceOptions]: NamespaceOptions[Name] | undefined }

/** The given rules over the defaults. @throws TypeError */
function settle(where: string, given: Given, otherwise: Omit<Namespace, 'name'>): Omit<Namespace, 'name'> {
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
  return { maxBytes: bytes, fit, fetchFit, keepOriginal, ...settleReading(where, given, otherwise) }
}

/** Who may read, and keep what was read. @throws TypeError */
function settleReading(where: string, given: Given, otherwise: Omit<Namespace, 'name'>) {
  const { mayRead = given.private === false ? undefined : otherwise.mayRead } = given
  if (mayRead !== undefined && typeof mayRead !== 'function')
    throw new TypeError(`${where}.mayRead must be a function of a request, got ${JSON.stringify(mayRead)}`)
  const { authorize } = given
  if (authorize !== undefined && typeof authorize !== 'function')
    throw new TypeError(
      `${where}.authorize must be a function of a request and an address, got ${JSON.stringify(authorize)}`,
    )
  const isAsked = mayRead !== undefined || authorize !== undefined
  const { private: isPrivate = otherwise.isPrivate || isAsked } = given
  if (typeof isPrivate !== 'boolean')
    throw new TypeError(`${where}.private must be true or false, got ${JSON.stringify(isPrivate)}`)
  if (!isPrivate && isAsked)
    throw new TypeError(
      `${where}.private must not be false where mayRead or authorize decides who reads, got false`,
    )
  // How long others may keep images says nothing of those that are for one alone.
  const usual = isPrivate === otherwise.isPrivate ? otherwise.maxAge : isPrivate ? 0 : DAY
  const { maxAge = usual } = given
  checkCount(`${where}.maxAge`, maxAge, YEAR, isPrivate ? 0 : 1)
  const cors = originsOf(`${where}.cors`, given.cors) ?? (isPrivate ? [] : undefined)
  return { isPrivate, mayRead, authorize, maxAge, cors }
}
