/** An object store in memory, which several nodes of a test share: with conditions or without, slow, or failing. */
import { createHash } from 'node:crypto'
import type { ObjectStore, ObjectStoreSource, StoredObject } from '#src/model/object-store.js'

interface Kept extends StoredObject {
  readonly modifiedAt: number
}

/** How it behaves, and what was asked of it. */
export interface MemoryObjects extends ObjectStoreSource {
  readonly objects: Map<string, Kept>
  /** Requests by their verb. */
  readonly counts: Record<string, number>
  /** Its clock. */
  now: () => number
  /** Fails every request. */
  isFailing: boolean
  /** Waits before each answer. */
  before: (verb: string, key: string) => Promise<void>
}

/** Makes one. @param isConditional whether it knows the conditions of `put` */
export function memoryObjects(isConditional = true): MemoryObjects {
  const objects = new Map<string, Kept>()
  const counts: Record<string, number> = {}
  const source: MemoryObjects = {
    ...{ objects, counts, prefix: 'site/', isFailing: false, before: async () => {}, now: () => 0 },
    open: async () => store,
  }
  const request = async (verb: string, key: string): Promise<void> => {
    counts[verb] = (counts[verb] ?? 0) + 1
    await source.before(verb, key)
    if (source.isFailing) throw new Error('the store does not answer')
  }
  const store: ObjectStore = {
    name: 'memory',
    get: async (key) => {
      await request('get', key)
      const found = objects.get(key)
      return found && { ...found, bytes: Buffer.from(found.bytes) }
    },
    head: async (key) => {
      await request('head', key)
      return objects.get(key)
    },
    put: async (key, bytes, { metadata = {}, only } = {}) => {
      await request('put', key)
      const known = objects.get(key)
      if (isConditional && only === 'absent' && known !== undefined) return false
      if (isConditional && typeof only === 'object' && known?.etag !== only.etag) return false
      const etag = `"${createHash('md5').update(bytes).digest('hex')}"`
      objects.set(key, { bytes: Buffer.from(bytes), metadata, etag, modifiedAt: source.now() })
      return true
    },
    delete: async (keys) => {
      await request('delete', keys.join(' '))
      for (const key of keys) objects.delete(key)
    },
    list: async function* (prefix, after = '') {
      await request('list', prefix)
      for (const [key, { bytes, modifiedAt }] of [...objects].sort(([a], [b]) => (a < b ? -1 : 1)))
        if (key.startsWith(prefix) && key > after) yield { key, size: bytes.length, modifiedAt }
    },
    conditional: async () => isConditional,
    setExpiry: async () => {},
    close: () => {},
  }
  return source
}
