/** How express-artwork reaches the records of this app: a complete repository. */
import type { Repository } from 'express-artwork'
import type { Records } from './database.js'

const PAGE = 100

/** The repository over the app's SQLite file. */
export function createRepository(records: Records): Repository {
  return {
    list: async (kind, cursor = '') => {
      const entities = records.page(kind, cursor, PAGE)
      const last = entities.at(-1)
      return entities.length < PAGE || last === undefined ? { entities } : { entities, next: last.id }
    },
    exists: async (kind, ids) => records.living(kind, ids),
    find: async (kind, id) => records.find(kind, id),
    saveImage: (kind, id, { imageUrl, imagePath }) => records.savePicture(kind, id, imageUrl, imagePath),
  }
}
