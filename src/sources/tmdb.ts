/** TMDb images: five kinds, each with its native sizes (PARITY, seed 0). */
import { makeAddress } from '../model/address.js'
import { ArtworkError } from '../model/failure.js'
import type { Variant } from '../model/variant.js'
import { parseUrl } from '../model/web-url.js'
import { type AccessOptions, accessOf } from './access.js'
import type { Source } from './source.js'

interface Table {
  readonly sizes: readonly string[]
  readonly default: string
  /** Width by height of the usual picture, to choose a native size by a height; undefined: any shape. */
  readonly shape: number | undefined
}

/** The native sizes of each TMDb image kind, and the one that is printed where none is asked for. */
const TMDB_SIZES: Readonly<Record<string, Table>> = {
  poster: {
    sizes: ['w92', 'w154', 'w185', 'w342', 'w500', 'w780', 'original'],
    default: 'w342',
    shape: 2 / 3,
  },
  backdrop: { sizes: ['w300', 'w780', 'w1280', 'original'], default: 'w780', shape: 16 / 9 },
  profile: { sizes: ['w45', 'w185', 'h632', 'original'], default: 'w185', shape: 2 / 3 },
  logo: {
    sizes: ['w45', 'w92', 'w154', 'w185', 'w300', 'w500', 'original'],
    default: 'w185',
    shape: undefined,
  },
  still: { sizes: ['w92', 'w185', 'w300', 'original'], default: 'w300', shape: 16 / 9 },
}

/** How to reach TMDb's images. */
export interface TmdbOptions extends AccessOptions {
  /** Where the sizes begin. @default 'https://image.tmdb.org/t/p' */
  readonly baseUrl?: string
  /** Name of the proxy pool that it is fetched through, `*` for every pool. @default none */
  readonly pool?: string
}

const FILE = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}\.(?:jpe?g|png|gif|webp|svg)$/

/** TMDb paths name their content: a week, as TMDb's own clients keep them (PARITY 3). */
const WEEK = { kind: 'immutable', maxAge: 604_800 } as const

/**
 * The source of `poster backdrop profile logo still`: `{baseUrl}/{size}/{path}`.
 * @throws TypeError for a base that is no http or https URL
 */
export function tmdb(options: TmdbOptions = {}): Source {
  const { baseUrl = 'https://image.tmdb.org/t/p', pool } = options
  const base = parseBase(baseUrl)
  const tableOf = (kind: string): Table => {
    const table = Object.hasOwn(TMDB_SIZES, kind) ? TMDB_SIZES[kind] : undefined
    if (table === undefined) throw new ArtworkError('invalid', 'image type is not known')
    return table
  }
  const prefix = `${base.href.replace(/\/$/, '')}/`
  return {
    name: 'tmdb',
    kinds: Object.keys(TMDB_SIZES),
    access: accessOf('tmdb', options),
    origins: [base.origin],
    defaultVariant: (kind) => tableOf(kind).default,
    nativeWidths: (kind) => widthsOf(tableOf(kind)),
    ratioOf: (kind) => (Object.hasOwn(TMDB_SIZES, kind) ? TMDB_SIZES[kind]?.shape : undefined),
    isNative: (kind, variant) => tableOf(kind).sizes.includes(sizeText(variant)),
    check: ({ address, recipe, variant }) => {
      if (!FILE.test(address.id)) throw new ArtworkError('invalid', 'image path is not valid')
      const size = nativeFor(tableOf(address.kind), variant, recipe.width, recipe.height)
      return { address, original: makeAddress(address.kind, size, address.id) }
    },
    originalsOf: ({ kind, id }, anyKind) =>
      (anyKind ? Object.keys(TMDB_SIZES) : [kind]).flatMap((one) =>
        tableOf(one).sizes.map((size) => makeAddress(one, size, id)),
      ),
    locate: (original) => ({
      url: `${prefix}${original.variant}/${original.id}`,
      admits: (url) => url.host === base.host,
      pool,
    }),
    claim: (url, kinds = []) => {
      if (!url.href.startsWith(prefix)) return undefined
      const [size = '', id = '', ...rest] = url.href.slice(prefix.length).split('/')
      const kind = [...kinds, ...Object.keys(TMDB_SIZES)].find(
        (name) => Object.hasOwn(TMDB_SIZES, name) && TMDB_SIZES[name]?.sizes.includes(size),
      )
      return kind === undefined || rest.length > 0 || !FILE.test(id) ? undefined : makeAddress(kind, size, id)
    },
    pool,
    cache: WEEK,
  }
}

function parseBase(text: string): URL {
  const url = parseUrl(text)
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.username !== '')
    throw new TypeError(`tmdb.baseUrl must be an absolute http or https URL, got ${JSON.stringify(text)}`)
  return url
}

/** The size part of a variant: `w342`, `h632`, `original`; empty for anything else. */
function sizeText({ base, width, height, cover }: Variant): string {
  if (base === 'original') return 'original'
  if (cover || (width !== undefined && height !== undefined)) return ''
  return width === undefined ? `h${height}` : `w${width}`
}

const widthsOf = (table: Table): readonly number[] =>
  table.sizes.filter((size) => size.startsWith('w')).map((size) => Number(size.slice(1)))

/** The native size itself, else the smallest one that is wide enough, else the original. */
function nativeFor(
  table: Table,
  variant: Variant,
  width: number | undefined,
  height: number | undefined,
): string {
  const exact = sizeText(variant)
  if (variant.base !== 'box' ? exact === 'original' : table.sizes.includes(exact)) return exact
  if (height !== undefined && table.shape === undefined) return 'original'
  const wanted = Math.max(width ?? 0, height === undefined ? 0 : Math.ceil(height * (table.shape ?? 1)))
  const enough = widthsOf(table).find((native) => native >= wanted)
  return enough === undefined || wanted === 0 ? 'original' : `w${enough}`
}
