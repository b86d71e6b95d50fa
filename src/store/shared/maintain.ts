/** Looking after a shared store as a whole: its rules of expiry, and whether what it names is there. */
import type { ObjectStore, ObjectStoreSource } from '../../model/object-store.js'
import { createSharedNames } from './names.js'

/** What a check of a shared store found. */
export interface SharedReport {
  /** Names of originals, of what was made from them, and of entities' pictures. */
  readonly names: number
  /** Contents with an object of their own. */
  readonly contents: number
  /** Bytes of all objects. */
  readonly bytes: number
  /** Names whose bytes are gone, or of another size: misses, which are fetched or made again. */
  readonly missing: readonly string[]
  /** Objects that are none of ours, or damaged: misses, too. */
  readonly unreadable: readonly string[]
  /** Objects of a later version, which are left alone. */
  readonly later: number
  /** Contents that no name has. They go by the rules of expiry. */
  readonly unnamed: number
  /** Uploads. */
  readonly uploads: number
}

/** Keys of each kind that a report names. */
const MOST_NAMED = 100

/**
 * Sets the bucket's rules: what is below `{prefix}cache/` goes after so many days in which it was not written. Rules of others stay,
 * and none is about uploads.
 * @returns what is below which prefix goes after how many days
 * @throws Error where the store has no such rules, or does not let us
 */
export async function setUpSharedStore(
  source: ObjectStoreSource,
  { days }: { /** 2 or more. */ readonly days: number },
): Promise<{ readonly prefix: string; readonly days: number }> {
  if (!Number.isSafeInteger(days) || days < 2)
    throw new TypeError(`days must be a whole number, 2 or more, got ${days}`)
  const prefix = `${source.prefix}cache/`
  const objects = await source.open()
  try {
    await objects.setExpiry([{ id: `express-artwork ${source.prefix}`, prefix, days }])
    return { prefix, days }
  } finally {
    objects.close()
  }
}

/** Contents by their digest, with their sizes; and what all of them take. */
async function contentsOf(objects: ObjectStore, folder: string) {
  const sizes = new Map<string, number>()
  let bytes = 0
  for await (const { key, size } of objects.list(folder)) {
    sizes.set(key.slice(folder.length), size)
    bytes += size
  }
  return { sizes, bytes }
}

/**
 * Reads every name of a shared store, and holds it against what is there. Changes nothing.
 * @throws Error where the store cannot be read
 */
export async function checkSharedStore(source: ObjectStoreSource): Promise<SharedReport> {
  const objects = await source.open()
  try {
    const names = createSharedNames(objects, source.prefix)
    // Names that come meanwhile have bytes that are not in this list: the names are read after it, and looked up again.
    const { sizes, bytes: contentBytes } = await contentsOf(objects, names.folders.contents)
    const named = new Set<string>()
    const [missing, unreadable]: [string[], string[]] = [[], []]
    let [count, bytes, later] = [0, contentBytes, 0]
    for await (const found of names.all()) {
      bytes += found.size
      if (found.state === 'later') later += 1
      if (found.state === 'unreadable') unreadable.push(found.path)
      if (found.state !== 'name') continue
      count += 1
      const { entry, isInline } = found
      if (isInline) continue
      named.add(entry.digest)
      const isThere = sizes.get(entry.digest) === entry.size || (await names.content(entry)) !== undefined
      if (!isThere) missing.push(entry.key)
    }
    let uploads = 0
    for await (const { key, size } of objects.list(`${source.prefix}uploads/`)) {
      bytes += size
      if (key !== `${source.prefix}uploads/key`) uploads += 1
    }
    const unnamed = [...sizes.keys()].filter((digest) => !named.has(digest)).length
    return {
      names: count,
      contents: sizes.size,
      bytes,
      missing: missing.slice(0, MOST_NAMED),
      unreadable: unreadable.slice(0, MOST_NAMED),
      ...{ later, unnamed, uploads },
    }
  } finally {
    objects.close()
  }
}
