/** A store over a store: originals that are uploads live on their own shelf, everything else below. */
import type { Store } from '../store/ports.js'
import type { UploadStore } from './upload-store.js'

/** Wraps `below`. Listing, clearing and bounds are the cache's: uploads have no part in them. */
export function withUploads(below: Store, shelf: UploadStore): Store {
  return {
    ...below,
    find: (name, trust) => (shelf.isUpload(name) ? shelf.find(name) : below.find(name, trust)),
    lookup: async (name) => (shelf.isUpload(name) ? shelf.recall(name) : below.lookup(name)),
    touch: (name) => {
      if (!shelf.isUpload(name)) below.touch(name)
    },
    read: (entry) => (shelf.isUpload(entry.key) ? shelf.read(entry) : below.read(entry)),
    check: async (entry, options) => {
      if (!shelf.isUpload(entry.key)) return below.check(entry, options)
      // The shelf does not tell a lost file from a damaged one.
      return (await shelf.read(entry)) === undefined ? 'unreadable' : 'whole'
    },
    fileOf: (entry) => (shelf.isUpload(entry.key) ? undefined : below.fileOf(entry)),
    write: (entry, bytes) =>
      shelf.isUpload(entry.key) ? shelf.save(entry, bytes) : below.write(entry, bytes),
    update: (entry, changes) => {
      if (!shelf.isUpload(entry.key)) return below.update(entry, changes)
      // An upload does not age: what becomes known of it is all that changes.
      const amended = Object.freeze({ ...entry, traits: changes.traits ?? entry.traits })
      shelf.amend(amended)
      return amended
    },
    delete: (name) => (shelf.isUpload(name) ? shelf.remove(name) : below.delete(name)),
    close: async () => {
      await shelf.close()
      await below.close()
    },
  }
}
