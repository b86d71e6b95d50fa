/**
 * cacache's index, what a lost catalogue is rebuilt from: for every key one entry that carries all facts. A key has two
 * slots, `key#0` and `key#1`: a new generation is written into the one that is not in use, and the other is deleted when
 * the new one counts. So no bucket grows, and a key can be looked up without the catalogue.
 */
import { createHash } from 'node:crypto'
import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PRIVATE_FILE, PRIVATE_FOLDER, setMode } from '../../database/files.js'
import type { Entry } from '../../model/entry.js'
import { requirePackage } from '../../package-files.js'
import { fromIndex, toIndex } from '../entry-format.js'
import { blockSizeOf, discardFile, filesBelow, inFolder, isCode, sizeOf, writeOut } from './files.js'

/** What was found in the index under a key. */
export interface IndexEntry {
  readonly entry: Entry
  readonly generation: number
  readonly slot: number
}

/** The slots of a key. */
export const SLOTS = [0, 1] as const

/** A bucket over this size was not written by us: an entry is under 10 KiB. */
const MAX_BUCKET = 64 * 1024

/** Where cacache keeps its index. */
export const indexFolder = (directory: string): string => join(directory, 'index-v5')

/** cacache's key of a slot. */
const slotKey = (name: string, slot: number): string => `${name}#${slot}`

/** cacache's name of a digest. */
const integrityOf = (digest: string): string => `sha256-${Buffer.from(digest, 'hex').toString('base64')}`

/** What an index entry says beside cacache's own fields. */
const indexOptions = (entry: Entry, generation: number) => ({
  size: entry.size,
  metadata: { entry: toIndex(entry), generation },
})

/** What a line of a bucket begins with. */
const lineHash = (text: string): string => createHash('sha1').update(text).digest('hex')

function readLine(text: string): IndexEntry | undefined {
  try {
    const { key, metadata }: { key?: unknown; metadata?: { entry?: unknown; generation?: unknown } } =
      JSON.parse(text)
    const entry = fromIndex(metadata?.entry)
    const generation = metadata?.generation
    if (entry === undefined || typeof generation !== 'number' || !Number.isSafeInteger(generation))
      return undefined
    const slot = SLOTS.find((one) => key === slotKey(entry.key, one))
    return slot === undefined ? undefined : { entry, generation, slot }
  } catch {
    return undefined
  }
}

/**
 * The last sound entry of a bucket, by cacache's own rule: a line counts when its hash is right.
 * @throws what the file system throws when it cannot be read
 */
async function readBucket(path: string): Promise<IndexEntry | undefined> {
  const stats = await lstat(path).catch(() => undefined)
  if (!stats?.isFile() || stats.size > MAX_BUCKET) return undefined
  const lines = (await readFile(path, 'utf8')).split('\n')
  for (const line of lines.reverse()) {
    const [hash, text] = line.split('\t')
    if (text === undefined || lineHash(text) !== hash) continue
    return readLine(text)
  }
  return undefined
}

/** See the top of the file. @param contentSize size of a content on disk, undefined where it is not there */
export function createRecoveryIndex(directory: string, contentSize: (digest: string) => number | undefined) {
  const index = indexFolder(directory)
  const blockSize = blockSizeOf(directory)
  /** Where cacache keeps the entry of a key (its layout `index-v5`; a test compares it). */
  const bucketPath = (name: string, slot: number): string => {
    const hash = createHash('sha256').update(slotKey(name, slot)).digest('hex')
    return join(index, hash.slice(0, 2), hash.slice(2, 4), hash.slice(4))
  }
  /** Adds an index entry to a bucket, as cacache's own `insert` does at twice the cost (a test compares them). */
  const add = async (entry: Entry, generation: number, slot: number): Promise<void> => {
    const { size, metadata } = indexOptions(entry, generation)
    const [key, integrity] = [slotKey(entry.key, slot), integrityOf(entry.digest)]
    const line = JSON.stringify({ key, integrity, time: Date.now(), size, metadata })
    const path = bucketPath(entry.key, slot)
    const text = Buffer.from(`\n${lineHash(line)}\t${line}`)
    await inFolder(path, PRIVATE_FOLDER, () => writeOut(path, 'a', text, PRIVATE_FILE))
  }
  return {
    bucketPath,
    readBucket,
    /** The index entry of a slot. */
    find: async (name: string, slot: number): Promise<IndexEntry | undefined> => {
      const found = await readBucket(bucketPath(name, slot))
      return found?.entry.key === name && found.slot === slot ? found : undefined
    },
    add,
    /** Writes an index entry alone. @throws what the file system throws */
    list: async (entry: Entry, generation: number, slot: number): Promise<void> => {
      const cacache = requirePackage<typeof import('cacache')>('cacache')
      const path = bucketPath(entry.key, slot)
      const [key, integrity] = [slotKey(entry.key, slot), integrityOf(entry.digest)]
      await discardFile(path)
      await inFolder(path, PRIVATE_FOLDER, async () => {
        await cacache.index.insert(directory, key, integrity, indexOptions(entry, generation))
        // It says nothing of a folder that has gone meanwhile.
        await lstat(path)
      })
      setMode(path, PRIVATE_FILE)
    },
    /** Deletes the index entry of a slot, file and all. */
    unlist: async (name: string, slot: number): Promise<void> => {
      await discardFile(bucketPath(name, slot))
    },
    /** What an index entry costs on disk, bytes; undefined where entry or content is not there. */
    cost: ({ entry, slot }: Pick<IndexEntry, 'entry' | 'slot'>): number | undefined => {
      if (contentSize(entry.digest) !== entry.size) return undefined
      const size = sizeOf(bucketPath(entry.key, slot))
      return size === undefined ? undefined : Math.ceil(size / blockSize()) * blockSize()
    },
    /** Every bucket there is, with what it says, if anything. @param onSkip called for each that cannot be read */
    async *buckets(
      onSkip?: () => void,
    ): AsyncGenerator<{ readonly path: string; readonly found: IndexEntry | undefined }> {
      for await (const path of filesBelow(index, 2, onSkip)) {
        const found = await readBucket(path).catch((error) => {
          if (!isCode(error, 'ENOENT', 'ENOTDIR')) onSkip?.()
          return 'unreadable' as const
        })
        if (found !== 'unreadable') yield { path, found }
      }
    },
  }
}
