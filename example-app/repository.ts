/** How express-artwork reaches the records of this app: a complete repository. */
import type { Repository } from 'express-artwork'
import { PICTURED, type Records } from './stage/database.js'

const PAGE = 100

/** The repository over the app's SQLite file. */
export function createRepository(records: Records): Repository {
  return {
    list: async (kind, cursor = '') => {
      // The toolkit knows more kinds of picture than this app has records of.
      if (!(kind in PICTURED)) return { entities: [] }
      const entities = records.page(kind, cursor, PAGE)
      const last = entities.at(-1)
      return entities.length < PAGE || last === undefined ? { entities } : { entities, next: last.id }
    },
    exists: async (kind, ids) => (kind in PICTURED ? records.living(kind, ids) : new Set(ids)),
    find: async (kind, id) => (kind in PICTURED ? records.find(kind, id) : undefined),
    saveImage: (kind, id, { imageUrl, imagePath }) =>
      kind in PICTURED && records.savePicture(kind, id, imageUrl, imagePath),
  }
}
