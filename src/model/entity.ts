/**
 * Entity kinds: a kind is a *picture of* something (an artist's portrait, a film's poster). What differs
 * between kinds is a table here, never code: how large, under which path, behind which placeholder.
 */
import { ArtworkError } from './failure.js'
import { JOB_KINDS } from './job-kinds.js'
import { formatOfExtension } from './media-type.js'

/** The placeholders that are shipped, beside the plain `placeholder.svg`. */
export const PLACEHOLDERS = [
  'artist',
  'album',
  'playlist',
  'profile',
  'category',
  'artwork',
  'poster',
  'backdrop',
  'logo',
  'still',
] as const

/** The name of a placeholder, '' for the plain one. */
export type PlaceholderName = '' | (typeof PLACEHOLDERS)[number]

/** A box, pixels. */
export interface Box {
  readonly width: number
  readonly height: number
}

const SQUARE: Box = { width: 600, height: 600 }
const WIDE: Box = { width: 960, height: 540 }
/** How large each placeholder is drawn, which is the shape of the pictures that it stands for. */
export const PLACEHOLDER_BOXES: Readonly<Record<PlaceholderName, Box>> = {
  '': SQUARE,
  artist: SQUARE,
  album: SQUARE,
  playlist: SQUARE,
  profile: SQUARE,
  category: { width: 600, height: 800 },
  artwork: WIDE,
  poster: { width: 600, height: 900 },
  backdrop: WIDE,
  logo: { width: 600, height: 300 },
  still: WIDE,
}

/** The placeholder of that name, if there is one; else the plain one. */
export const placeholderNamed = (name: string | undefined): PlaceholderName =>
  PLACEHOLDERS.find((one) => one === name) ?? ''

/** What an app may say of an entity kind; all of it optional. */
export interface EntityKindOptions {
  /** Size of the stored picture, a variant without format (the path's extension decides that). @default 'w500-h500' */
  readonly variant?: string | undefined
  /** First directory of the default path, and the name of the kind in lists. @default kind + 's' */
  readonly plural?: string | undefined
  /**
   * Template of the artwork path. `{plural}`, `{shard}` (first two characters of the id), `{id}`, `{slug}`;
   * other names come from `params`. Its extension decides the format. @default '{plural}/{shard}/{id}.webp'
   */
  readonly path?: string | undefined
  /** Where the entity keeps its source URL and artwork path. @default image_url, cover_url and their twins */
  readonly fields?:
    | {
        /** Its field with the source URL. */
        readonly url?: string | undefined
        /** Its field with the artwork path. */
        readonly path?: string | undefined
      }
    | undefined
  /**
   * Width by height of its pictures, `2 / 3` or `'2/3'`: the box that a page holds for one whose shape is not known yet.
   * @default that of a variant with both sides, else that of its placeholder
   */
  readonly ratio?: number | string | undefined
  /** Which shipped placeholder stands in. @default the kind's own, where it is shipped */
  readonly placeholder?: string | undefined
  /** Another name of the kind in the management API. */
  readonly alias?: string | undefined
  /** Providers whose ids may name a local copy, first wins. @default spotify, deezer, tidal, musicbrainz */
  readonly providers?: readonly string[] | undefined
}

/** An entity kind with every default filled in. */
export interface EntityKind {
  readonly kind: string
  readonly variant: string
  readonly plural: string
  readonly path: string
  /** The names in the template of the path. */
  readonly params: readonly string[]
  readonly fields: { readonly url?: string | undefined; readonly path?: string | undefined }
  readonly placeholder: string
  /** The box that is held for a picture whose shape is not known yet. */
  readonly box: Box
  readonly alias: string | undefined
  readonly providers: readonly string[]
}

/** Provider priority of the music kinds (PARITY 19). */
const PROVIDERS = ['spotify', 'deezer', 'tidal', 'musicbrainz'] as const

/** The kinds that are built in; an app overrides them or adds its own. Sizes in pixels (PARITY 13). */
const BUILT_IN_KINDS: Readonly<Record<string, EntityKindOptions>> = {
  artist: { variant: 'w300-h300' },
  album: { variant: 'w500-h500' },
  playlist: { variant: 'w400-h400' },
  track: { variant: 'w500-h500', placeholder: 'album' },
  profile: { variant: 'w300-h300', alias: 'streamer', path: 'profiles/profile_avatar_{id}.jpg' },
  category: { variant: 'w600-h800', plural: 'categories', path: 'categories/{slug}.jpg' },
  artwork: {
    variant: 'w1280-h1280',
    ratio: '16/9',
    plural: 'artwork',
    path: 'artwork/profile_avatar_{streamer}/stream_{id}.jpg',
  },
}

const DEFAULT_PATH = '{plural}/{shard}/{id}.webp'
const KIND_NAME = /^[a-z][a-z0-9_]{0,63}$/
const PATH_SHAPE = /^[a-z0-9_{}-]+(?:\/[A-Za-z0-9_{}-]+)*\.[a-z0-9]+$/

/** Words of the management API, which no kind may have for a name there. */
const RESERVED: ReadonlySet<string> = new Set([
  ...JOB_KINDS,
  'stats',
  'jobs',
  'images',
  'purge',
  'explain',
  'events',
  'docs',
  'dashboard',
  'failures',
  'schedules',
  'pause',
  'resume',
])

/** Fills in the defaults of every kind. @throws TypeError naming the kind, the rule and the value */
export function settleKinds(
  declared: Readonly<Record<string, EntityKindOptions>>,
): ReadonlyMap<string, EntityKind> {
  const names = new Set([...Object.keys(BUILT_IN_KINDS), ...Object.keys(declared)])
  const kinds = [...names].map((kind) =>
    settleKind(kind, { ...BUILT_IN_KINDS[kind], ...withoutGaps(declared[kind]) }),
  )
  const taken = new Map<string, string>()
  for (const { kind, alias } of kinds)
    for (const name of alias === undefined ? [kind] : [kind, alias]) {
      const other = taken.get(name)
      if (RESERVED.has(name))
        throw new TypeError(
          `entities.${kind} must not be named as a route of the management API, got ${JSON.stringify(name)}`,
        )
      if (other !== undefined)
        throw new TypeError(
          `entities.${kind} and entities.${other} must not both be named ${JSON.stringify(name)}`,
        )
      taken.set(name, kind)
    }
  return new Map(kinds.map((settled) => [settled.kind, settled]))
}

function withoutGaps(options: EntityKindOptions = {}): EntityKindOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

function settleKind(kind: string, options: EntityKindOptions): EntityKind {
  const path = options.path ?? DEFAULT_PATH
  const extension = path.slice(path.lastIndexOf('.') + 1)
  const problem = (rule: string, value: string) =>
    new TypeError(`entities.${kind}${rule}, got ${JSON.stringify(value)}`)
  if (!KIND_NAME.test(kind)) throw problem(' must be named by lower-case letters, digits and _', kind)
  if (!PATH_SHAPE.test(path) || formatOfExtension(extension) === undefined)
    throw problem('.path must be a relative template that ends in jpg, png, webp, gif or avif', path)
  if (!/\{(?:id|slug)\}/.test(path)) throw problem('.path must hold {id} or {slug}', path)
  const ratio = options.ratio === undefined ? undefined : readRatio(options.ratio)
  if (options.ratio !== undefined && ratio === undefined)
    throw problem('.ratio must be width by height, such as "2/3"', String(options.ratio))
  const variant = options.variant ?? 'w500-h500'
  const placeholder = options.placeholder ?? (PLACEHOLDERS.some((name) => name === kind) ? kind : '')
  return Object.freeze({
    kind,
    variant,
    box: boxOf(variant, ratio, placeholderNamed(placeholder)),
    plural: options.plural ?? `${kind}s`,
    path,
    params: [...path.matchAll(/\{([a-z_]+)\}/g)].map(([, name = '']) => name),
    fields: options.fields ?? {},
    placeholder,
    alias: options.alias,
    providers: options.providers ?? PROVIDERS,
  })
}

/** Width by height as a number: from a number, or from text such as `2/3`, `16:9`, `1.5`. Undefined for anything else. */
export function readRatio(given: unknown): number | undefined {
  const [, above, below = '1'] =
    /^\s*(\d{1,5}(?:\.\d{1,6})?)\s*(?:[/:]\s*(\d{1,5}(?:\.\d{1,6})?)\s*)?$/.exec(String(given)) ?? []
  const ratio = Number(above) / Number(below)
  return Number.isFinite(ratio) && ratio > 0.01 && ratio < 100 ? ratio : undefined
}

/** The box of a kind: as wide as its variant says, and in its shape. */
function boxOf(variant: string, ratio: number | undefined, placeholder: PlaceholderName): Box {
  const [, width, height] = /^w(\d+)(?:-h(\d+))?/.exec(variant) ?? []
  const own = PLACEHOLDER_BOXES[placeholder]
  const wide = Number(width ?? own.width)
  if (ratio === undefined && height !== undefined) return { width: wide, height: Number(height) }
  return { width: wide, height: Math.max(1, Math.round(wide / (ratio ?? own.width / own.height))) }
}

/** File name of a kind's placeholder; the plain one for a kind that has none, and for no kind at all. */
export function placeholderFile(kind: EntityKind | undefined, name?: string): string {
  const placeholder = kind === undefined ? placeholderNamed(name) : kind.placeholder
  return placeholder ? `placeholder-${placeholder}.svg` : 'placeholder.svg'
}

/** The extension's format of a kind's artwork path. */
export function formatOfKind(kind: EntityKind): string {
  const format = formatOfExtension(kind.path.slice(kind.path.lastIndexOf('.') + 1))
  if (format === undefined) throw new ArtworkError('invalid', 'the entity kind has no known format')
  return format
}
