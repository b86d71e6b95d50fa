/** A store over a store: originals that are uploads are in the upload store, everything else in the cache below. */
import type { Store } from '../store/ports.js'
import type { UploadStore } from './upload-store.js'

/** Wraps `cache`. Listing, clearing and bounds are the cache's: uploads have no part in them. */
export function withUploads(cache: Store, uploads: UploadStore): Store {
  const { isUpload } = uploads
  return {
    ...cache,
    find: (key, trust) => (isUpload(key) ? uploads.find(key) : cache.find(key, trust)),
    lookup: (key, original) => (isUpload(key) ? uploads.lookup(key) : cache.lookup(key, original)),
    touch: (key) => {
      if (!isUpload(key)) cache.touch(key)
    },
    read: (entry) => (isUpload(entry.key) ? uploads : cache).read(entry),
    check: async (entry, options) => {
      if (!isUpload(entry.key)) return cache.check(entry, options)
      // A lost file and a damaged one look the same here.
      return (await uploads.read(entry)) === undefined ? 'unreadable' : 'whole'
    },
    fileOf: (entry) => (isUpload(entry.key) ? undefined : cache.fileOf(entry)),
    write: (entry, bytes, options) => (isUpload(entry.key) ? uploads : cache).write(entry, bytes, options),
    update: (entry, changes) => {
      if (!isUpload(entry.key)) return cache.update(entry, changes)
      // An upload never becomes stale: its traits are all that changes.
      const updated = Object.freeze({ ...entry, traits: changes.traits ?? entry.traits })
      uploads.update(updated)
      return updated
    },
    delete: (key, scope) => (isUpload(key) ? uploads.delete(key) : cache.delete(key, scope)),
    close: async () => {
      await uploads.close()
      await cache.close()
    },
  }
}
