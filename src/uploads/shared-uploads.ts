/**
 * Uploads of several nodes: each is an object of the shared store before it is acknowledged, under a name that says all that is known
 * of it, as its file does. A node fetches an upload when it is asked for it, and lists are the shared store's. No rule of expiry is
 * about them.
 *
 * ```text
 * uploads/{folder of the namespace}/{id}.{digest}.{width}x{height}.{extension}
 * uploads/key       what ids follow from
 * ```
 */
import { createHmac, randomBytes } from 'node:crypto'
import { createSingleFlight, once } from '../concurrency.js'
import { digestOf } from '../model/digest.js'
import type { Entry } from '../model/entry.js'
import { ArtworkError } from '../model/failure.js'
import { NEVER_STALE } from '../model/freshness.js'
import type { Logger } from '../model/logger.js'
import type { ListedObject, ObjectStore } from '../model/object-store.js'
import { factsOf, readUploadKey, type Upload, uploadKey } from './upload-entries.js'
import { fileName, folderOf, readFileName, type UploadFacts } from './upload-names.js'
import type { NewUpload, UploadStore } from './upload-store.js'

/** What shared uploads work with. */
export interface SharedUploadsParts {
  readonly objects: ObjectStore
  /** What comes before every key. */
  readonly prefix: string
  readonly logger: Logger
  /** Called with the key of an upload that is gone: other nodes are to hear of it. */
  removed(key: string): Promise<void>
}

const KEY_BYTES = 32
/** After every character of a file's name. */
const LAST = '~'

/** What a failure of the shared store comes to. */
const unavailable =
  (logger: Logger, what: string) =>
  (cause: unknown): never => {
    logger.error({ err: cause }, `artwork uploads: ${what} failed`)
    throw new ArtworkError('unavailable', 'uploads cannot be reached', { retryAfter: 5, cause })
  }

/** The uploads of this node and of the others. */
export interface SharedUploads extends UploadStore {
  /** It cannot be known what others removed: each copy of this node is looked at before it is used again. */
  missed(): void
}

/** What the shared store has of uploads, and copies of it here. */
function createCopies(
  local: UploadStore,
  objects: ObjectStore,
  folder: (namespace: string) => string,
  pathOf: (facts: UploadFacts) => string,
) {
  /** What the shared store has under a path, verified. */
  const fetch = async (facts: UploadFacts): Promise<{ bytes: Buffer; storedAt: number } | undefined> => {
    const found = await objects.get(pathOf(facts))
    if (found === undefined || digestOf(found.bytes) !== facts.digest) return undefined
    return { bytes: found.bytes, storedAt: Number(found.metadata.stored) || 0 }
  }
  /** Keeps a copy here. @throws ArtworkError `disk_write` */
  const keep = async (facts: UploadFacts, bytes: Buffer, storedAt: number): Promise<Entry | undefined> => {
    const { namespace, id, digest, type, width, height } = facts
    const fresh = {
      key: uploadKey(namespace, id),
      role: 'original' as const,
      ...{ digest, type, width, height, storedAt, validatedAt: storedAt, freshnessLifetime: NEVER_STALE },
    }
    const [entry] = await local.writeAll([{ fresh, bytes, storedAt }])
    return entry
  }
  const findShared = async (key: string): Promise<Entry | undefined> => {
    const { namespace, id } = readUploadKey(key)
    for await (const object of objects.list(`${folder(namespace)}${id}.`)) {
      const facts = readFileName(namespace, object.key.slice(folder(namespace).length))
      const found = facts && (await fetch(facts))
      if (facts === undefined || found === undefined) continue
      const entry = await keep(facts, found.bytes, found.storedAt)
      // It may have been removed since, and been heard of before it was kept.
      if ((await objects.head(object.key)) !== undefined) return entry
      await local.delete(key)
    }
    return undefined
  }
  return { fetch, keep, findShared }
}

/** Wraps the uploads of this node. */
export function withSharedUploads(local: UploadStore, parts: SharedUploadsParts): SharedUploads {
  const { objects, prefix, logger } = parts
  const root = `${prefix}uploads/`
  const flights = createSingleFlight()
  const folder = (namespace: string): string => `${root}${folderOf(namespace)}/`
  const pathOf = (facts: UploadFacts): string => folder(facts.namespace) + fileName(facts)
  const secret = once(() => sharedKey(objects, `${root}key`))

  const { fetch, keep, findShared } = createCopies(local, objects, folder, pathOf)
  /** Uploads that were looked at in the shared store since it was last unknown what others removed. */
  let confirmed: Set<string> | undefined
  /** Whether a copy of this node is one still. */
  const isStill = async (entry: Entry): Promise<boolean> => {
    if (confirmed === undefined || confirmed.has(entry.key)) return true
    if ((await objects.head(pathOf(factsOf(entry)))) === undefined) {
      await local.delete(entry.key)
      return false
    }
    confirmed.add(entry.key)
    return true
  }
  const lookup: UploadStore['lookup'] = async (key) => {
    const known = await local.lookup(key)
    if (known !== undefined && (await isStill(known).catch(unavailable(logger, 'looking up')))) return known
    return flights.run(key, () => findShared(key).catch(unavailable(logger, 'looking up')))
  }
  /**
   * Puts what is stored here into the shared store: all of it, or it is not acknowledged. What another node has put there under the
   * same name is the same.
   */
  const share = async (entries: readonly Entry[], given: readonly NewUpload[]): Promise<void> => {
    try {
      for (const [index, entry] of entries.entries()) {
        const bytes = given[index]?.bytes ?? Buffer.alloc(0)
        await objects.put(pathOf(factsOf(entry)), bytes, {
          type: entry.type,
          metadata: { stored: String(entry.storedAt) },
          only: 'absent',
        })
      }
    } catch (error) {
      // What was put there is not taken back: another node may have acknowledged it since.
      for (const { key } of entries) await local.delete(key).catch(() => false)
      unavailable(logger, 'sharing')(error)
    }
  }
  const writeAll: UploadStore['writeAll'] = async (all) => {
    const entries = await local.writeAll(all)
    await share(entries, all)
    return entries
  }

  return {
    ...local,
    idOf: async (namespace, how, bytes) => {
      const key = await secret().catch(unavailable(logger, 'reading the key'))
      return createHmac('sha256', key)
        .update(`${namespace}\0${how}\0`)
        .update(bytes)
        .digest('hex')
        .slice(0, 32)
    },
    lookup,
    // What is to be looked at again is not found without that.
    find: (key) => (confirmed === undefined || confirmed.has(key) ? local.find(key) : undefined),
    missed: () => {
      confirmed = new Set()
    },
    read: async (entry) => {
      const here = await local.read(entry)
      if (here !== undefined) return here
      const facts = factsOf(entry)
      const found = await fetch(facts).catch(unavailable(logger, 'reading'))
      if (found === undefined) return undefined
      await keep(facts, found.bytes, found.storedAt).catch(() => undefined)
      return { bytes: found.bytes, from: 'disk' }
    },
    write: async (fresh, bytes) => {
      const entry = await local.write(fresh, bytes)
      await share([entry], [{ fresh, bytes }])
      return entry
    },
    writeAll,
    confirm: async (entry, bytes) => {
      await share([entry], [{ fresh: entry, bytes }])
    },
    delete: async (key) => {
      const { namespace, id } = readUploadKey(key)
      const paths: string[] = []
      // Of one id there may be several, by nodes whose decoders differ.
      const find = async (): Promise<void> => {
        for await (const object of objects.list(`${folder(namespace)}${id}.`)) paths.push(object.key)
      }
      await find().catch(unavailable(logger, 'removing'))
      const here = await local.lookup(key)
      // Heard before it is gone, so that a node that dies meanwhile leaves none behind; and once more afterwards.
      await parts.removed(key)
      await objects.delete(paths).catch(unavailable(logger, 'removing'))
      await local.delete(key)
      await parts.removed(key)
      return paths.length > 0 || here !== undefined
    },
    list: (namespace, after, limit) =>
      listed(objects, folder(namespace), namespace, after, limit).catch(unavailable(logger, 'listing')),
  }
}

/** The key that ids follow from: the first that a node put there. */
async function sharedKey(objects: ObjectStore, path: string): Promise<Buffer> {
  const known = await objects.get(path)
  if (known !== undefined) return known.bytes
  await objects.put(path, randomBytes(KEY_BYTES), { only: 'absent' })
  const found = await objects.get(path)
  if (found === undefined) throw new Error('the key of the uploads cannot be kept')
  return found.bytes
}

async function listed(
  objects: ObjectStore,
  folder: string,
  namespace: string,
  after: string,
  limit: number,
): Promise<readonly Upload[]> {
  const found: Upload[] = []
  for await (const object of objects.list(folder, after === '' ? undefined : `${folder}${after}${LAST}`)) {
    const upload = toUpload(namespace, object, folder)
    if (upload !== undefined) found.push(upload)
    if (found.length >= limit) break
  }
  return found
}

function toUpload(
  namespace: string,
  { key, size, modifiedAt }: ListedObject,
  folder: string,
): Upload | undefined {
  const facts = readFileName(namespace, key.slice(folder.length))
  return facts && { ...facts, size, storedAt: modifiedAt }
}
