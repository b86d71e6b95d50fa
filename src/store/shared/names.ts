/**
 * Names and bytes as objects of a shared store. A name is one small object: a line of JSON with the facts of its entry, and of the
 * original that it was made from, so that one request brings all that an answer needs; up to {@link INLINE_BYTES} of content follow
 * in the same object, what is larger lies under its digest. Names of what was made from an original lie below the original's, so
 * that a purge finds them without a catalogue.
 *
 * ```text
 * cache/names/{hash of the original}/name                 an original, or an entity's image
 * cache/names/{hash of the original}/{hash of the key}    a rendition
 * cache/names/{hash of the original}/~{hash of the key}   an entity's image was made from it; without bytes
 * cache/contents/{sha-256}                                bytes
 * ```
 */
import { createHash } from 'node:crypto'
import { digestOf } from '../../model/digest.js'
import type { Entry } from '../../model/entry.js'
import type { ObjectStore, StoredObject } from '../../model/object-store.js'
import { fromIndex, toIndex } from '../entry-format.js'

/** The format of a name's object. A process leaves objects of a later one alone, and takes what they name for absent. */
const SHARED_FORMAT = 1

/** Contents up to this size are in their name's object: one request less to write, and one less to read. */
export const INLINE_BYTES = 64 * 1024

/** A name without bytes is smaller: its facts alone. */
const WITHOUT_BYTES = 16 * 1024
const MEDIA_TYPE = 'application/vnd.express-artwork'
const WRITE_TRIES = 3
const DELETED_AT_ONCE = 1000

/** A name as the shared store has it. */
export interface SharedName {
  readonly entry: Entry
  /** The bytes, where they came along. */
  readonly bytes: Buffer | undefined
  /** What it was made from, as it stood when this was written. */
  readonly original: Entry | undefined
}

/** An object of a list: a name, one of a later version, or one that says nothing. */
export type ListedName =
  | {
      readonly state: 'name'
      readonly path: string
      readonly size: number
      readonly entry: Entry
      readonly isInline: boolean
    }
  | { readonly state: 'later' | 'unreadable'; readonly path: string; readonly size: number }

/** See the top of the file. Every verb throws where the store cannot be reached. */
export type SharedNames = ReturnType<typeof createSharedNames>

interface Header {
  readonly format: number
  readonly entry?: unknown
  readonly original?: unknown
}

const hashOf = (key: string): string => createHash('sha256').update(key).digest('base64url')

/** An entry that lies elsewhere says nothing of this node. */
const shared = (entry: Entry): Record<string, unknown> => toIndex({ ...entry, isStored: true })

function encode({ entry, bytes, original }: SharedName): Buffer {
  const header: Header = {
    format: SHARED_FORMAT,
    entry: shared(entry),
    ...(original && { original: shared(original) }),
  }
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), bytes ?? Buffer.alloc(0)])
}

/** What an object says; undefined where it is not one of this format, or damaged. */
function decode({ bytes: all }: StoredObject, key: string): SharedName | undefined {
  const end = all.indexOf(0x0a)
  if (end < 0) return undefined
  let header: Header
  try {
    header = JSON.parse(all.toString('utf8', 0, end))
  } catch {
    return undefined
  }
  const entry = header.format === SHARED_FORMAT ? fromIndex(header.entry) : undefined
  if (entry === undefined || entry.key !== key) return undefined
  const original = fromIndex(header.original)
  const inline = all.subarray(end + 1)
  if (inline.length === 0) return { entry, bytes: undefined, original }
  if (digestOf(inline) !== entry.digest) return undefined
  return { entry, bytes: Buffer.from(inline), original }
}

/** Whether an object is of a later format, and so not ours to change. */
const isLater = ({ metadata }: Pick<StoredObject, 'metadata'>): boolean =>
  Number(metadata.format) > SHARED_FORMAT

/** Where names and contents lie. @param prefix of all keys, with its slash */
function createPaths(prefix: string) {
  const names = `${prefix}cache/names/`
  const folderOf = (key: string): string => `${names}${hashOf(key)}/`
  const pathOf = (key: string, original: string | undefined): string =>
    original === undefined || original === key
      ? `${folderOf(key)}name`
      : `${folderOf(original)}${hashOf(key)}`
  return {
    names,
    contents: `${prefix}cache/contents/`,
    folderOf,
    pathOf,
    /** Entities' images are looked up by their key alone. */
    placeOf: ({ key, role, original }: Entry): string =>
      pathOf(key, role === 'rendition' ? original : undefined),
  }
}

/** Makes the names of a store. @param prefix of all keys, with its slash */
export function createSharedNames(objects: ObjectStore, prefix: string) {
  const { names, contents, folderOf, pathOf, placeOf } = createPaths(prefix)

  const put = async (path: string, name: SharedName): Promise<void> => {
    const body = encode(name)
    const options = { metadata: { format: String(SHARED_FORMAT) }, type: MEDIA_TYPE }
    if (await objects.put(path, body, { ...options, only: 'absent' })) return
    for (let attempt = 0; attempt < WRITE_TRIES; attempt += 1) {
      const found = await objects.head(path)
      if (found !== undefined && isLater(found)) return
      const only = found === undefined ? 'absent' : { etag: found.etag }
      if (await objects.put(path, body, { ...options, only })) return
    }
    // Others write it all the time: theirs are as good.
  }
  /** A purge of the original finds an entity's image by it: it is there before the image is. */
  const point = async ({ key, role, original }: Entry): Promise<void> => {
    if (role === 'artwork' && original !== undefined && original !== key)
      await objects.put(`${folderOf(original)}~${hashOf(key)}`, Buffer.alloc(0))
  }
  /** @param isAnew bytes that are there are written once more */
  const write = async (
    entry: Entry,
    bytes: Buffer,
    original: Entry | undefined,
    isAnew: boolean,
  ): Promise<void> => {
    const isInline = bytes.length <= INLINE_BYTES && bytes.length > 0
    const path = contents + entry.digest
    if (!isInline && (isAnew || (await objects.head(path)) === undefined))
      await objects.put(path, bytes, { type: entry.type, ...(!isAnew && { only: 'absent' }) })
    await point(entry)
    await put(placeOf(entry), { entry, bytes: isInline ? bytes : undefined, original })
  }
  /** Everything below a folder, with the contents that it names, and the images of entities that it points to. */
  const below = async (folder: string): Promise<readonly string[]> => {
    const paths: string[] = []
    for await (const { key: path, size } of objects.list(folder)) {
      paths.push(path)
      const name = path.slice(folder.length)
      if (name.startsWith('~')) paths.push(`${names}${name.slice(1)}/name`)
      // Bytes that others have, too, are fetched or made again.
      else if (size <= WITHOUT_BYTES) paths.push(...(await contentOf(path)))
    }
    return paths
  }
  const contentOf = async (path: string): Promise<readonly string[]> => {
    const found = await objects.get(path)
    const name = found && decode(found, keyIn(found) ?? '')
    return name === undefined || name.bytes !== undefined ? [] : [contents + name.entry.digest]
  }

  return {
    /** @param original the key of what it is made from, where it is a rendition */
    find: async (key: string, original?: string): Promise<SharedName | undefined> => {
      const found = await objects.get(pathOf(key, original))
      return found && decode(found, key)
    },
    /** The bytes of an entry, verified; undefined where they are gone, or damaged. */
    content: async ({ digest, size }: Pick<Entry, 'digest' | 'size'>): Promise<Buffer | undefined> => {
      const found = await objects.get(contents + digest)
      if (found === undefined) return undefined
      const isWhole = found.bytes.length === size && digestOf(found.bytes) === digest
      return isWhole ? found.bytes : undefined
    },
    /** Writes bytes and name. The bytes first: a name whose bytes are not there is a miss. */
    write: (entry: Entry, bytes: Buffer, original: Entry | undefined) => write(entry, bytes, original, false),
    /** Writes a name anew, and its bytes, where it was not written since: what is in use does not expire. */
    renew: async (entry: Entry, bytes: Buffer, original: Entry | undefined, since: number): Promise<void> => {
      const found = await objects.head(placeOf(entry))
      if (found === undefined || isLater(found) || found.modifiedAt >= since) return
      await write(entry, bytes, original, true)
    },
    /** Changes facts of a name that still has these bytes. Where the store has no conditions, nothing is changed. */
    update: async (entry: Entry): Promise<void> => {
      if (!(await objects.conditional())) return
      const path = placeOf(entry)
      const found = await objects.get(path)
      const known = found && decode(found, entry.key)
      if (found === undefined || known === undefined || known.entry.digest !== entry.digest) return
      if (known.entry.validatedAt > entry.validatedAt) return
      const merged = { ...entry, focalPoint: entry.focalPoint ?? known.entry.focalPoint }
      const options = { metadata: found.metadata, type: MEDIA_TYPE, only: { etag: found.etag } }
      await objects.put(path, encode({ ...known, entry: merged }), options)
    },
    /** Removes a name; that of an original with everything that was made from it. */
    remove: async (key: string, original?: string): Promise<void> => {
      if (original !== undefined && original !== key) {
        await objects.delete([
          pathOf(key, original),
          pathOf(key, undefined),
          `${folderOf(original)}~${hashOf(key)}`,
        ])
        return
      }
      await objects.delete([...(await below(folderOf(key))), pathOf(key, undefined)])
    },
    /** Removes every name and content of the cache. */
    clear: async (): Promise<void> => {
      for (const folder of [names, contents]) {
        let batch: string[] = []
        for await (const { key } of objects.list(folder)) {
          batch.push(key)
          if (batch.length < DELETED_AT_ONCE) continue
          await objects.delete(batch)
          batch = []
        }
        await objects.delete(batch)
      }
    },
    /** Where names and contents lie. */
    folders: { names, contents },
    /** Every object of a name, and what it says. */
    all: () => list(objects, names),
  }
}

async function* list(objects: ObjectStore, folder: string): AsyncGenerator<ListedName> {
  for await (const { key: path, size } of objects.list(folder)) {
    if (path.includes('/~')) continue
    const found = await objects.get(path)
    // It may have been removed since it was listed.
    if (found === undefined) continue
    const name = decode(found, keyIn(found) ?? '')
    if (name !== undefined)
      yield { state: 'name', path, size, entry: name.entry, isInline: name.bytes !== undefined }
    else yield { state: isLater(found) ? 'later' : 'unreadable', path, size }
  }
}

/** The key that an object says it has. */
function keyIn({ bytes }: StoredObject): string | undefined {
  try {
    const header: Header = JSON.parse(bytes.toString('utf8', 0, Math.max(0, bytes.indexOf(0x0a))))
    return fromIndex(header.entry)?.key
  } catch {
    return undefined
  }
}
