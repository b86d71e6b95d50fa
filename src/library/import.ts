/**
 * Taking pictures in that are files already: an export of this toolkit, or what a service before it kept under the same
 * paths. Whose picture a file is, is told by the export's list, else by the app's records, else by the path itself.
 * Nothing is taken that is not an image, is too large, or is reached through a link.
 */
import { constants, createReadStream, type Dirent } from 'node:fs'
import { lstat, open, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setImmediate as breathe } from 'node:timers/promises'
import type { Context } from '../images/context.js'
import { inspectGiven } from '../images/images.js'
import { artworkPathOf } from '../model/urls.js'
import type { Resolver } from '../images/resolve.js'
import { artworkPaths, readArtworkPath } from '../model/artwork-path.js'
import { digestOf } from '../model/digest.js'
import type { EntityKind } from '../model/entity.js'
import { entityImageKey, imageKey } from '../model/entry.js'
import { ArtworkError, asArtworkError } from '../model/failure.js'
import { formatOfExtension } from '../model/media-type.js'
import { entitiesIn } from '../model/repository.js'
import { readSubject } from '../model/subject.js'
import { HIDDEN, MANIFEST } from './export.js'

/** How to take files in. */
export interface ImportOptions {
  /** Takes a file also where another picture of the entity is kept. @default false */
  readonly overwrite?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((done: number, total: number) => void) | undefined
}

/** What came of it, in files. */
export interface ImportReport {
  readonly imported: number
  /** The same picture is kept already. */
  readonly unchanged: number
  /** Another picture of the entity is kept, and stays. */
  readonly kept: number
  /** Nobody knows whose picture it is. */
  readonly unknown: number
  readonly refused: number
  /** Why files were refused, the first 100. */
  readonly errors: Readonly<Record<string, string>>
}

/** Whose picture a file is. */
interface Owner {
  readonly kind: string
  readonly id: string
  readonly sourceUrl?: string | undefined
  /** Of the bytes that this is known of. */
  readonly digest?: string | undefined
}

const MOST_ERRORS = 100
/** Entities that are looked through for owners, at most: what is not found then is told by its path. */
const MOST_ENTITIES = 1_000_000

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

/** Takes the pictures below a folder in. @throws ArtworkError `invalid` (400) for a folder that is none */
export async function importFolder(
  context: Context,
  admission: Resolver,
  folder: string,
  options: ImportOptions = {},
): Promise<ImportReport> {
  const { settings, store } = context
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
  const owners = await findOwners(context, root, wanted, signal)

  const read = async (path: string): Promise<Buffer> => {
    const file = await open(join(root, path), constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
    try {
      const { size } = await file.stat()
      if (size > settings.fetch.maxBytes) throw new ArtworkError('too_large', 'the image has too many bytes')
      return await file.readFile()
    } finally {
      await file.close()
    }
  }
  const take = async (path: string, owner: Owner): Promise<'imported' | 'unchanged' | 'kept'> => {
    const bytes = await read(path)
    const before = store.find(entityImageKey(path))
    if (before?.isStored && before.digest === digestOf(bytes)) return 'unchanged'
    if (before?.isStored && !overwrite) return 'kept'
    const { type, width, height } = await inspectGiven(context, bytes)
    const at = settings.now()
    await store.write(
      {
        key: entityImageKey(path),
        role: 'artwork',
        type,
        width,
        height,
        storedAt: at,
        validatedAt: at,
        freshnessLifetime: settings.freshness.maxAge,
        ownerKind: owner.kind,
        ownerId: owner.id,
        // What a list says of other bytes, it does not say of these.
        ...(owner.digest === undefined || owner.digest === digestOf(bytes)
          ? originOf(admission, owner.sourceUrl)
          : {}),
      },
      bytes,
    )
    return 'imported'
  }
  let done = 0
  for (const path of wanted) {
    if (signal?.aborted) break
    const owner = owners.get(path)
    if (owner === undefined) count.unknown += 1
    else
      try {
        count[await take(path, owner)] += 1
      } catch (error) {
        count.refused += 1
        if (Object.keys(errors).length < MOST_ERRORS) errors[path] = asArtworkError(error).reason
      }
    done += 1
    onProgress?.(done, wanted.size)
    if (done % 50 === 0) await breathe()
  }
  return { ...count, errors }
}

/** Where a picture came from, as its entry tells; nothing where the URL is one that no source takes. */
function originOf(admission: Resolver, sourceUrl: string | undefined) {
  if (sourceUrl === undefined) return {}
  try {
    return { sourceUrl, original: imageKey(admission.resolveUrl(sourceUrl).text) }
  } catch {
    return {}
  }
}

/** Whose pictures the files are. */
async function findOwners(
  { settings }: Context,
  root: string,
  wanted: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, Owner>> {
  const owners = new Map<string, Owner>()
  const { kinds, repository, logger } = settings
  for (const path of wanted) {
    const owner = ownerByPath(path, kinds)
    if (owner !== undefined) owners.set(path, owner)
  }
  const isListed = new Set<string>()
  try {
    for await (const { path, ...owner } of listed(join(root, MANIFEST)))
      if (wanted.has(path) && kinds.has(owner.kind)) {
        owners.set(path, owner)
        isListed.add(path)
      }
  } catch (error) {
    logger.warn({ err: error }, 'artwork import: the list of the export could not be read')
  }
  if (repository?.list === undefined) return owners
  let seen = 0
  try {
    for (const kind of kinds.values())
      for await (const some of entitiesIn(repository, kind.kind)) {
        for (const entity of some) {
          seen += 1
          const { id, sourceUrl, params, localPath } = readSubject(entity, kind.kind, kinds)
          if (id === undefined) continue
          // A record that names the file says whose it is, whatever the path looks like.
          const named = localPath === undefined ? undefined : artworkPathOf(settings.urls, localPath)
          for (const path of [...pathsOf(kind, id, params), ...(named === undefined ? [] : [named])])
            if (wanted.has(path) && !isListed.has(path))
              owners.set(path, { kind: kind.kind, id: String(id), sourceUrl })
        }
        if (signal?.aborted || seen > MOST_ENTITIES) return owners
        await breathe()
      }
  } catch (error) {
    logger.warn({ err: error }, 'artwork import: the repository could not be asked whose pictures there are')
  }
  return owners
}

const pathsOf = (...asked: Parameters<typeof artworkPaths>): readonly string[] => {
  try {
    return artworkPaths(...asked)
  } catch {
    return []
  }
}

/** The lines of an export's list that can be read. */
async function* listed(file: string): AsyncGenerator<Owner & { readonly path: string }> {
  if (!(await lstat(file).catch(() => undefined))?.isFile()) return
  for await (const line of createInterface({
    input: createReadStream(file),
    crlfDelay: Number.POSITIVE_INFINITY,
  }))
    try {
      const told: unknown = JSON.parse(line)
      if (typeof told !== 'object' || told === null) continue
      const { path, kind, id, sourceUrl, digest } = told as Record<string, unknown>
      if (typeof path !== 'string' || typeof kind !== 'string' || typeof id !== 'string') continue
      yield {
        path,
        kind,
        id,
        ...(typeof sourceUrl === 'string' && { sourceUrl }),
        ...(typeof digest === 'string' && { digest }),
      }
    } catch {
      // A line that is cut tells nothing.
    }
}

/** Whose picture a path says it is: where a kind's template has the id in it. */
function ownerByPath(path: string, kinds: ReadonlyMap<string, EntityKind>): Owner | undefined {
  for (const kind of kinds.values()) {
    const idName = ['id', 'slug'].find((name) => kind.path.includes(`{${name}}`))
    if (idName === undefined) continue
    const pattern = kind.path
      .replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&')
      .replaceAll('{plural}', kind.plural)
      .replace(`{${idName}}`, '(?<id>[A-Za-z0-9_-]+)')
      .replaceAll(/\{[a-z_]+\}/g, '[A-Za-z0-9_-]+')
    const id = new RegExp(`^${pattern}$`).exec(path)?.groups?.id
    // What the template makes of the id must be this very path, so that a slug is not taken for one.
    if (id !== undefined && (kind.path.includes('{shard}') ? pathsOf(kind, id).includes(path) : true))
      return { kind: kind.kind, id }
  }
  return undefined
}
