/**
 * The export: entities' pictures as named files below a hidden directory, for media servers and other programs that
 * read files. A full run goes through everything; between runs, changes of the store are followed.
 */
import { dirname, join, resolve } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { readArtworkPath } from '../model/artwork-path.js'
import { type Entry, entityImageKey, looksOf } from '../model/entry.js'
import type { Logger } from '../model/logger.js'
import type { Store } from '../store/ports.js'
import {
  checkFolders,
  HIDDEN,
  type Placed,
  type PlaceParts,
  pathOf,
  placeFile,
  removeFile,
  removeTemporary,
  statOf,
} from './export-files.js'
import { createExportRecords, type ExportFile } from './export-records.js'
import { type ExportedImage, exportPath, MANIFEST, openManifest } from './manifest.js'

/** What an export came to, in files. */
export interface ExportReport {
  readonly linked: number
  readonly copied: number
  readonly current: number
  readonly removed: number
  /** Files of the same name that are not ours, and were left alone. */
  readonly foreign: number
  readonly failed: number
  /** Whether it went through everything. */
  readonly complete: boolean
}

/** How a whole export is done. */
export interface ExportRun {
  /** Replaces files of the same name that are not ours. @default false */
  readonly overwrite?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((done: number, total: number) => void) | undefined
}

/** What an export works with. */
export interface ExportParts {
  readonly store: Pick<Store, 'find' | 'read' | 'select' | 'stats' | 'fileOf' | 'settled'>
  /** Where the record of our files is; undefined: in memory. */
  readonly directory: string | undefined
  /** Permissions of the files, which are copies then; undefined: hard links, that everybody may read. */
  readonly mode?: number | undefined
  readonly logger: Logger
}

interface Parts extends PlaceParts {
  readonly store: ExportParts['store']
  readonly logger: Logger
}

const PAGE = 200
/** Changes that may wait to be followed; after more, everything is gone through. */
const MAX_WAITING = 10_000

/** See the top of the file. */
export type Exporter = ReturnType<typeof createExporter>

/** Makes the exporter; nothing is opened before it is used. */
export function createExporter({ store, directory, mode, logger }: ExportParts) {
  const records = createExportRecords(directory, logger)
  const parts: Parts = { store, records, mode, logger }
  const update = createUpdater(parts)
  const follower = createFollower(update, logger)
  return {
    /** Goes through everything. */
    run: (to: string, options: ExportRun = {}): Promise<ExportReport> =>
      runExport(parts, update, resolve(to), options),
    followTo: follower.followTo,
    changed: follower.changed,
    settled: follower.settled,
    close: async (): Promise<void> => {
      await follower.close()
      records.close()
    },
  }
}

type Update = (file: ExportFile, overwrite?: boolean) => Promise<Placed>

/** Makes a file what the store has for its path now; one update of a path at a time. */
function createUpdater(parts: Parts): Update {
  const { store, records } = parts
  const running = new Map<string, Promise<unknown>>()
  const entryOf = ({ path }: ExportFile): Entry | undefined => {
    const entry = store.find(entityImageKey(path))
    return entry?.role === 'artwork' ? entry : undefined
  }
  const update = async (file: ExportFile, overwrite: boolean): Promise<Placed> => {
    await checkFolders(file.root, dirname(pathOf(file)))
    // Only what is a file can be linked.
    await store.settled(entityImageKey(file.path))
    const entry = entryOf(file)
    if (!entry?.isStored) return removeFile(records, file)
    const placed = await placeFile(parts, file, entry, overwrite)
    // It may have been replaced meanwhile by another process, whose change is not announced here.
    const now = entryOf(file)
    return now?.digest === entry.digest || now === undefined ? placed : placeFile(parts, file, now, overwrite)
  }
  return async (file, overwrite = false) => {
    const key = `${file.root}\n${file.path}`
    while (running.has(key)) await running.get(key)
    const work = update(file, overwrite).finally(() => running.delete(key))
    running.set(
      key,
      work.catch(() => {}),
    )
    return work
  }
}

const warnNotPlaced = (logger: Logger, path: string, error: unknown): void =>
  logger.warn({ err: error, image: path }, 'artwork export: a file could not be placed')

/** Follows the store: what has changed is updated one after the other. */
function createFollower(update: Update, logger: Logger) {
  const waiting = new Set<string>()
  let following: { readonly root: string; readonly onLost: () => void } | undefined
  let busy: Promise<void> | undefined
  const follow = async (root: string): Promise<void> => {
    for (const path of waiting) {
      waiting.delete(path)
      await update({ root, path }).catch((error) => warnNotPlaced(logger, path, error))
    }
  }
  return {
    /**
     * From now on, follows the changes that `changed` announces.
     * @param onLost called when more has changed than can be followed: everything is to be gone through
     */
    followTo: (to: string, onLost: () => void): void => {
      following = { root: resolve(to), onLost }
    },
    /** Keys have changed in the store. */
    changed: (keys: readonly string[] | 'all'): void => {
      if (following === undefined) return
      const { root, onLost } = following
      if (keys === 'all' || waiting.size > MAX_WAITING) {
        waiting.clear()
        onLost()
        return
      }
      for (const key of keys) {
        const path = key.startsWith('local/') ? readArtworkPath(exportPath({ key })) : undefined
        if (path !== undefined) waiting.add(path)
      }
      if (waiting.size === 0) return
      busy ??= follow(root).finally(() => {
        busy = undefined
      })
    },
    /** Resolves when the changes so far have been followed. */
    settled: async (): Promise<void> => {
      while (busy !== undefined) await busy
    },
    close: async (): Promise<void> => {
      following = undefined
      waiting.clear()
      await busy
    },
  }
}

/** A full export: places what is stored, removes what is not any more, and writes the manifest. */
async function runExport(
  parts: Parts,
  update: Update,
  root: string,
  { overwrite = false, signal, onProgress }: ExportRun,
): Promise<ExportReport> {
  const { store, records, logger } = parts
  const count = { linked: 0, copied: 0, current: 0, removed: 0, absent: 0, foreign: 0, failed: 0 }
  const total = store.stats().byRole.artwork
  const hidden = join(root, HIDDEN)
  await checkFolders(root, hidden, true)
  const updateOne = async (path: string): Promise<void> => {
    try {
      count[await update({ root, path }, overwrite)] += 1
    } catch (error) {
      count.failed += 1
      warnNotPlaced(logger, path, error)
    }
  }
  const report = (complete: boolean): ExportReport => {
    const { absent: _absent, ...counts } = count
    return { ...counts, complete }
  }
  const manifest = await openManifest(root)
  try {
    let done = 0
    for (const page of pagesOf(store)) {
      const stored = page.filter((entry) => entry.isStored)
      for (const entry of stored) {
        if (signal?.aborted) return report(false)
        await updateOne(exportPath(entry))
      }
      await manifest.add(stored.map((entry) => ({ entry, looks: looksIn(store, entry) })))
      done += page.length
      onProgress?.(Math.min(done, total), total)
      await nextTurn()
    }
    for (const paths of records.pages(root)) {
      for (const path of paths) {
        if (signal?.aborted) return report(false)
        if (path !== MANIFEST && !store.find(entityImageKey(path))?.isStored) await updateOne(path)
      }
      await nextTurn()
    }
    await removeTemporary(hidden)
    await publishManifest(parts, root, manifest, overwrite)
    return report(true)
  } finally {
    await manifest.discard()
  }
}

/** Every entity image of the store, in pages. */
function* pagesOf(store: Pick<Store, 'select'>): Generator<readonly Entry[]> {
  for (let after: string | undefined; ; ) {
    const page = store.select({ role: 'artwork', limit: PAGE, ...(after !== undefined && { after }) })
    yield page
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return
    after = last.key
  }
}

/** What the original of a picture looks like, and what of it stays in sight, where that is known. */
function looksIn(store: Pick<Store, 'find'>, { original, traits }: Entry): ExportedImage['looks'] {
  const found = original === undefined ? undefined : store.find(original)
  const looks = looksOf(found?.traits ?? traits)
  return found?.focalPoint === undefined ? looks : { ...looks, focalPoint: found.focalPoint }
}

/** Puts the manifest in its place, unless there is a file of that name which is not ours. */
async function publishManifest(
  { records, logger }: Parts,
  root: string,
  manifest: Awaited<ReturnType<typeof openManifest>>,
  overwrite: boolean,
): Promise<void> {
  const file = { root, path: MANIFEST }
  const existing = await statOf(pathOf(file))
  if (existing !== undefined && !overwrite && records.find(file, existing) === undefined) {
    logger.warn({}, `artwork export: ${MANIFEST} is not ours and stays as it is`)
    return
  }
  // Recorded before it is published: after a crash in between it is known as ours.
  const stats = await manifest.sync()
  records.put(file, stats, '', false)
  await manifest.publish(pathOf(file))
  records.removeOthers(file, stats)
}
