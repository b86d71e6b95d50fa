/** Pictures that lie in a folder of the app's own: the id is the path below it, name by name. */
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type Address, encodeName, KIND, makeAddress } from '../model/address.js'
import { ArtworkError } from '../model/failure.js'
import type { FileLocation } from '../model/location.js'
import { refuseUnknown } from '../model/option-names.js'
import { ACCESS_OPTIONS, type AccessOptions, accessOf } from './access.js'
import type { Source } from './source.js'

/** A folder of pictures, and the path that pages print for it. */
export interface FilesOptions extends AccessOptions {
  /** The folder, from the working directory where it is no absolute path. What lies outside is refused, also behind links. */
  readonly root: string
  /**
   * What stands before the names of its files in the paths that pages print today, such as `/static` where `/static/hero.jpg`
   * is `hero.jpg` below `root`: such a path is the picture, in templates and in `artwork.addressOf`. @default none
   */
  readonly prefix?: string
  /** Its kind in addresses, `/images/{name}/…`: another one for each folder. @default 'files' */
  readonly name?: string
  /** How long clients may use a picture whose URL has no `?v=` before they ask again, seconds. @default 0 */
  readonly maxAge?: number
}

const OPTIONS: readonly string[] = ['root', 'prefix', 'name', 'maxAge', ...ACCESS_OPTIONS]
const YEAR = 31_536_000
/** Of other files nothing is read, nor said. */
const PICTURE = /\.(?:jpe?g|png|gif|webp|avif|svg)$/i
/** No name of a file, in some file system or in all. */
const FORBIDDEN = /[/\\:\p{Cc}]|[. ]$/u
const DEEPEST = 16
/** What pages print. Other formats of a picture take a signature: some cost hundreds of times more. */
const FREE_FORMATS = ['auto', 'webp', 'jpeg', 'avif'] as const

const invalid = (): ArtworkError => new ArtworkError('invalid', 'the path of the file is not valid')

/** The id of a path. @throws ArtworkError `invalid` (400) for what is hidden, no picture by its name, or no name at all */
function idOf(names: readonly string[]): string {
  const isSound = (name: string) => name !== '' && !name.startsWith('.') && !FORBIDDEN.test(name)
  if (names.length > DEEPEST || !names.every(isSound) || !PICTURE.test(names.at(-1) ?? '')) throw invalid()
  try {
    return names.map(encodeName).join('/')
  } catch {
    // Half of a surrogate pair.
    throw invalid()
  }
}

/** The names that an id stands for. @throws ArtworkError `invalid` (400) for any other text */
function namesOf(id: string): readonly string[] {
  let names: readonly string[]
  try {
    names = id.split('/').map(decodeURIComponent)
  } catch {
    throw invalid()
  }
  if (idOf(names) !== id) throw invalid()
  return names
}

/** As it is, where it is no encoded text. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

/** @throws TypeError that names the option, the rule and the value */
function checked(
  options: FilesOptions,
): Required<Pick<FilesOptions, 'root' | 'name' | 'maxAge'>> & Pick<FilesOptions, 'prefix'> {
  const where = (name: string, rule: string, value: unknown): TypeError =>
    new TypeError(`files.${name} must be ${rule}, got ${JSON.stringify(value)}`)
  if (typeof options !== 'object' || options === null)
    throw new TypeError('files needs { root }, a folder of pictures')
  refuseUnknown('files', options, OPTIONS)
  const { root, prefix, name = 'files', maxAge = 0 } = options
  if (typeof root !== 'string' || root === '') throw where('root', 'the path of a folder', root)
  const isPath = typeof prefix === 'string' && /^\/[^?#\\]*$/.test(prefix)
  if (prefix !== undefined && !isPath) throw where('prefix', 'a path such as "/static"', prefix)
  if (typeof name !== 'string' || !KIND.test(name))
    throw where('name', 'up to 100 letters, digits, full stops, _ and -', name)
  if (!Number.isInteger(maxAge) || maxAge < 0 || maxAge > YEAR)
    throw where('maxAge', `a whole number of seconds from 0 to ${YEAR}`, maxAge)
  return {
    root: resolve(root),
    name,
    maxAge,
    ...(prefix !== undefined && { prefix: prefix.replace(/\/+$/, '') }),
  }
}

/**
 * The source of `/images/files/{variant}/{path}`: pictures of the app's own, in every size and format, without a copy of the
 * original. A file that is replaced is answered as it is from the next request on.
 * @throws TypeError for a bad option, naming it, the rule and the value
 */
export function files(options: FilesOptions): Source {
  const { root, prefix, name: kind, maxAge } = checked(options)
  const access = accessOf('files', options)
  const original = (names: readonly string[]): Address => makeAddress(kind, 'original', idOf(names))
  return {
    name: kind === 'files' ? 'files' : `files (${kind})`,
    kinds: [kind],
    isLocal: true,
    access,
    defaultVariant: () => 'original',
    nativeWidths: () => [],
    isNative: (_kind, variant) => variant.base === 'original',
    prepare: async () => {
      const found = await stat(root).catch(() => undefined)
      if (found?.isDirectory() !== true)
        throw new TypeError(`files.root must be a folder that is there, got ${JSON.stringify(options.root)}`)
    },
    idOf,
    freeFormats: ({ base }) => (base === 'original' ? ['auto'] : FREE_FORMATS),
    check: ({ address }) => ({ address, original: original(namesOf(address.id)) }),
    originalsOf: (address) => [address],
    locate: ({ id }): FileLocation => ({ root, segments: namesOf(id) }),
    claim: () => undefined,
    claimPath: (path) => {
      if (prefix === undefined || !path.startsWith(`${prefix}/`)) return undefined
      const [bare = ''] = path.slice(prefix.length + 1).split(/[?#]/, 1)
      try {
        return original(bare.split('/').map(decoded))
      } catch {
        return undefined
      }
    },
    fileName: ({ id }) => namesOf(id).at(-1),
    cache: { kind: 'passed-on', maxAge, swr: 0, sie: 0 },
  }
}
