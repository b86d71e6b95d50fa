/**
 * Imports pictures that are files already: an export of this toolkit, or what an earlier service stored under the same
 * paths. Nothing is imported that is not an image, is too large, or is reached through a link.
 */
import { constants, type Dirent } from 'node:fs'
import { lstat, open, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Context } from '../images/context.js'
import { inspectGiven } from '../images/images.js'
import type { Resolver } from '../images/resolve-address.js'
import { readArtworkPath } from '../model/artwork-path.js'
import { digestOf } from '../model/digest.js'
import { entityImageKey, imageKey } from '../model/entry.js'
import { ArtworkError, asArtworkError } from '../model/failure.js'
import { formatOfExtension } from '../model/media-type.js'
import { HIDDEN } from './export-files.js'
import { findOwners } from './import-owners.js'
import type { Owner } from './manifest.js'

/** How files are imported. */
export interface ImportOptions {
  /** Imports a file also where another picture of the entity is stored. @default false */
  readonly overwrite?: boolean | undefined
  /** Stops it when it is aborted. */
  readonly signal?: AbortSignal | undefined
  /** Called with the files that were read, and how many there are. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined
}

/** What came of it, in files. */
export interface ImportReport {
  /** Stored now. */
  readonly imported: number
  /** The same picture is stored already. */
  readonly unchanged: number
  /** Another picture of the entity is stored, and stays. */
  readonly kept: number
  /** It is not known whose picture it is. */
  readonly unknown: number
  /** No images, or not allowed. */
  readonly refused: number
  /** Why files were refused, the first 100. */
  readonly errors: Readonly<Record<string, string>>
}

/** What an import works with. */
type ImportParts = Pick<Context, 'settings' | 'store' | 'transformer'>

const MAX_ERRORS = 100
/** Files after which other work has its turn. */
const BATCH = 50

const isDirectory = async (path: string): Promise<boolean> =>
  (await lstat(path).catch(() => undefined))?.isDirectory() === true

const isPicture = (name: string): boolean =>
  formatOfExtension(name.slice(name.lastIndexOf('.') + 1)) !== undefined

/** Every file below a folder that may be an artwork, by its path; links are not followed, what cannot be opened is passed over. */
async function* filesBelow(
  folder: string,
  onSkip: (error: unknown) => void,
  prefix = '',
): AsyncGenerator<string> {
  let entries: Dirent[]
  try {
    entries = await readdir(folder, { withFileTypes: true })
  } catch (error) {
    onSkip(error)
    return
  }
  for (const entry of entries) {
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`
    if (readArtworkPath(path) === undefined) continue
    if (entry.isDirectory()) yield* filesBelow(join(folder, entry.name), onSkip, path)
    else if (entry.isFile() && isPicture(entry.name)) yield path
  }
}

/** Imports the pictures below a folder. @throws ArtworkError `invalid` (400) for a folder that is none */
export async function importFolder(
  parts: ImportParts,
  resolver: Pick<Resolver, 'resolveUrl'>,
  folder: string,
  options: ImportOptions = {},
): Promise<ImportReport> {
  const { settings } = parts
  const { overwrite = false, signal, onProgress } = options
  const hidden = join(resolve(folder), HIDDEN)
  const root = (await isDirectory(hidden)) ? hidden : resolve(folder)
  if (!(await isDirectory(root))) throw new ArtworkError('invalid', 'the folder to import is no directory')
  const count = { imported: 0, unchanged: 0, kept: 0, unknown: 0, refused: 0 }
  const errors: Record<string, string> = {}
  const wanted = new Set<string>()
  const onSkip = (error: unknown): void =>
    settings.logger.warn({ err: error }, 'artwork import: a folder could not be read')
  for await (const path of filesBelow(root, onSkip)) wanted.add(path)
  const owners = await findOwners(settings, root, wanted, signal)
  let done = 0
  for (const path of wanted) {
    if (signal?.aborted) break
    const owner = owners.get(path)
    if (owner === undefined) count.unknown += 1
    else
      try {
        count[await importFile(parts, resolver, { root, path, owner, overwrite })] += 1
      } catch (error) {
        count.refused += 1
        if (Object.keys(errors).length < MAX_ERRORS) errors[path] = asArtworkError(error).reason
      }
    done += 1
    onProgress?.(done, wanted.size)
    if (done % BATCH === 0) await nextTurn()
  }
  return { ...count, errors }
}

/** Imports one file. @throws ArtworkError as the checks of its bytes do */
async function importFile(
  parts: ImportParts,
  resolver: Pick<Resolver, 'resolveUrl'>,
  file: { readonly root: string; readonly path: string; readonly owner: Owner; readonly overwrite: boolean },
): Promise<'imported' | 'unchanged' | 'kept'> {
  const { settings, store } = parts
  const { path, owner } = file
  const key = entityImageKey(path)
  const bytes = await readBounded(join(file.root, path), settings.fetch.maxBytes)
  const digest = digestOf(bytes)
  const before = store.find(key)
  if (before?.isStored && before.digest === digest) return 'unchanged'
  if (before?.isStored && !file.overwrite) return 'kept'
  const { type, width, height } = await inspectGiven(parts, bytes)
  const at = settings.now()
  // What the manifest says of other bytes does not hold for these.
  const isSame = owner.digest === undefined || owner.digest === digest
  await store.write(
    {
      key,
      role: 'artwork',
      type,
      width,
      height,
      storedAt: at,
      validatedAt: at,
      freshnessLifetime: settings.freshness.maxAge,
      ownerKind: owner.kind,
      ownerId: owner.id,
      ...(isSame ? originOf(resolver, owner.sourceUrl) : {}),
    },
    bytes,
  )
  return 'imported'
}

/** Reads a file that is no link. @throws ArtworkError `too_large` */
async function readBounded(path: string, maxBytes: number): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
  try {
    const { size } = await file.stat()
    if (size > maxBytes) throw new ArtworkError('too_large', 'the image has too many bytes')
    return await file.readFile()
  } finally {
    await file.close()
  }
}

/** Source URL and original of a picture; nothing where no source takes the URL. */
function originOf(resolver: Pick<Resolver, 'resolveUrl'>, sourceUrl: string | undefined) {
  if (sourceUrl === undefined) return {}
  try {
    return { sourceUrl, original: imageKey(resolver.resolveUrl(sourceUrl).text) }
  } catch {
    return {}
  }
}
