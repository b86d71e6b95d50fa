/**
 * The export: entities' pictures as real, named files below a hidden directory, for media servers and whoever else
 * reads files. Each is a hard link to the store's own content where the file system allows it, and a copy elsewhere;
 * it appears and changes whole. Files that are not ours are left alone. What is ours is written down beside the
 * catalogue, so that what was taken out of the store goes here too, and nothing else does.
 */
import { randomUUID } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { link, lstat, open, readdir, readFile, rename, rmdir, unlink } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { setImmediate as breathe } from 'node:timers/promises'
import { makeFolder, OPEN_FILE, OPEN_FOLDER, setMode } from '../database/files.js'
import { type Database, inodeOf, keep, openDatabase, openInMemory, type Shape } from '../database/sqlite.js'
import { readArtworkPath } from '../model/artwork-path.js'
import { digestOf } from '../model/digest.js'
import { type Entry, entityImageKey } from '../model/entry.js'
import { codeOf } from '../model/failure.js'
import type { Logger } from '../model/logger.js'
import type { Store } from '../store/ports.js'

/** The hidden directory, which media servers pass over. */
export const HIDDEN = '.images'
/** What tells of the exported files, a line each, for who takes them in elsewhere. */
export const MANIFEST = 'manifest.jsonl'

/** What became of one picture's file. */
export type Placed = 'linked' | 'copied' | 'current' | 'removed' | 'absent' | 'foreign'

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
  readonly store: Pick<Store, 'find' | 'read' | 'select' | 'stats' | 'fileOf'>
  /** Where it is written down what is ours; undefined: in memory. */
  readonly directory: string | undefined
  /** Rights of the files, which are copies then; undefined: hard links, that everybody may read. */
  readonly mode?: number | undefined
  readonly logger: Logger
}

const SHAPE: Shape = {
  version: 1,
  synchronous: 'NORMAL',
  schema: `
    -- A path has two rows while its file is being replaced.
    CREATE TABLE files (
      root TEXT NOT NULL, path TEXT NOT NULL, ino TEXT NOT NULL, digest TEXT NOT NULL, isLink INTEGER NOT NULL,
      size INTEGER NOT NULL, mtime INTEGER NOT NULL, PRIMARY KEY (root, path, ino)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;
  `,
  checks: ['SELECT * FROM files LIMIT 1'],
}

interface Row {
  readonly ino: string
  readonly digest: string
  readonly isLink: 0 | 1
  readonly size: number
  readonly mtime: number
}

const PAGE = 200
/** So many changes wait to be followed; after more, everything is gone through. */
const MOST_WAITING = 10_000
/** Nobody takes longer than this to put a file in its place, ms. */
const HALF_DONE_FOR = 3_600_000
const TEMPORARY = /^\.artwork-[0-9a-f-]{36}\.tmp$/
/** Why a hard link cannot be made, where a copy can. */
const NO_LINK = ['EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'ENOENT']

const statOf = (path: string): Promise<BigIntStats | undefined> =>
  lstat(path, { bigint: true }).catch((error) => {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return undefined
    throw error
  })

/** See the top of the file. */
export type Exporter = ReturnType<typeof createExporter>

/** Makes the exporter; nothing is opened before it is used. */
export function createExporter({ store, directory, mode, logger }: ExportParts) {
  let opened: ReturnType<typeof statements> | undefined
  /** Files that are being put in their place: one at a time for each path. */
  const under = new Map<string, Promise<void>>()
  const sql = (): ReturnType<typeof statements> => {
    const file = directory === undefined ? undefined : join(directory, 'export.db')
    // A database that was taken away is made anew: what was ours is not known any more, and stays.
    if (opened !== undefined && (file === undefined || inodeOf(file) === opened.inode)) return opened
    if (file === undefined || directory === undefined) {
      opened = statements(openInMemory(SHAPE), undefined)
    } else {
      makeFolder(directory)
      const { db, inode } = openDatabase(file, undefined, SHAPE, (message) =>
        logger.warn({}, `artwork export: ${message}`),
      )
      opened = statements(db, inode)
    }
    return opened
  }

  /** Makes the folder of a file. @throws Error where one on the way is no folder of its own: nothing is written outside */
  const makeFolders = async (root: string, folder: string): Promise<void> => {
    // Media servers read it, whatever the umask.
    makeFolder(root, OPEN_FOLDER)
    let at = root
    for (const part of folder.slice(root.length).split(sep).filter(Boolean)) {
      at = join(at, part)
      const stats = await statOf(at)
      if (stats === undefined) makeFolder(at, OPEN_FOLDER)
      else if (!stats.isDirectory()) throw new Error(`${part} in the export is no directory`)
    }
  }
  /** @throws Error where a folder on the way is a link: what is behind it is not ours */
  const checkFolders = async (root: string, folder: string): Promise<void> => {
    let at = root
    for (const part of folder.slice(root.length).split(sep).filter(Boolean)) {
      at = join(at, part)
      const stats = await statOf(at)
      if (stats === undefined) return
      if (!stats.isDirectory()) throw new Error(`${part} in the export is no directory`)
    }
  }
  /** The row that says that a file is ours, as it is. */
  const rowOf = (root: string, path: string, stats: BigIntStats): Row | undefined => {
    const row = sql().get.get(root, path, String(stats.ino))
    if (row === undefined) return row
    return BigInt(row.size) === stats.size && BigInt(row.mtime) === stats.mtimeMs ? row : undefined
  }
  const note = (root: string, path: string, stats: BigIntStats, digest: string, isLink: boolean): void => {
    const facts = { ino: String(stats.ino), size: Number(stats.size), mtime: Number(stats.mtimeMs) }
    sql().put.run({ root, path, digest, isLink: Number(isLink), ...facts })
  }
  const removeOurs = async (root: string, path: string): Promise<Placed> => {
    const target = join(root, HIDDEN, path)
    const stats = await statOf(target)
    const isOurs = stats !== undefined && rowOf(root, path, stats) !== undefined
    if (isOurs) await unlink(target)
    sql().forget.run(root, path)
    if (!isOurs) return 'absent'
    for (let folder = dirname(target); folder !== join(root, HIDDEN); folder = dirname(folder))
      if (
        !(await rmdir(folder).then(
          () => true,
          () => false,
        ))
      )
        break
    return 'removed'
  }
  /** Puts the file of an entry where it belongs. */
  const place = async (root: string, path: string, entry: Entry, overwrite: boolean): Promise<Placed> => {
    const target = join(root, HIDDEN, path)
    const content = store.fileOf(entry)
    const there = await statOf(target)
    if (there !== undefined) {
      const source = content === undefined ? undefined : await statOf(content)
      const isLinked = source !== undefined && source.ino === there.ino && source.dev === there.dev
      if (isLinked && mode === undefined) {
        setMode(target, OPEN_FILE)
        note(root, path, there, entry.digest, true)
        return 'current'
      }
      const row = rowOf(root, path, there)
      const isAsWanted = mode === undefined || (there.mode & 0o777n) === BigInt(mode)
      if (row?.digest === entry.digest && row.isLink === 0 && isAsWanted) return 'current'
      if (there.isDirectory() || (row === undefined && !isLinked && !overwrite)) return 'foreign'
    }
    // Read, and so checked against its digest, before anybody else sees it.
    const held = await store.read(entry)
    if (held === undefined) return removeOurs(root, path)
    await makeFolders(root, dirname(target))
    const temporary = join(dirname(target), `.artwork-${randomUUID()}.tmp`)
    try {
      let isLink = content !== undefined && mode === undefined && (await linked(content, temporary))
      // An earlier version kept it for itself where the umask said so.
      if (isLink) setMode(temporary, OPEN_FILE)
      // What memory had says nothing of the file.
      if (isLink && held.from === 'memory' && digestOf(await readFile(temporary)) !== entry.digest) {
        await unlink(temporary)
        isLink = false
      }
      if (!isLink) await copy(temporary, held.bytes, entry.storedAt, mode ?? OPEN_FILE)
      const stats = await lstat(temporary, { bigint: true })
      note(root, path, stats, entry.digest, isLink)
      // Where nothing was, nothing is replaced: somebody may have put a file there meanwhile.
      if (there === undefined && !(await put(temporary, target))) {
        // Another process of ours may have been as quick.
        const now = await statOf(target)
        const isOurs =
          now !== undefined && (now.ino === stats.ino || rowOf(root, path, now)?.digest === entry.digest)
        if (!isOurs) sql().forgetOne.run(root, path, String(stats.ino))
        return isOurs ? 'current' : 'foreign'
      }
      if (there !== undefined) await rename(temporary, target)
      // Another process may have put its own there meanwhile: then its row is the one that counts.
      if ((await statOf(target))?.ino === stats.ino) {
        note(root, path, stats, entry.digest, isLink)
        sql().forgetOthers.run(root, path, String(stats.ino))
      }
      return isLink ? 'linked' : 'copied'
    } finally {
      // Renaming a link over another one of the same file leaves both.
      await unlink(temporary).catch(() => {})
    }
  }
  /** Makes the file of a path what the store has for it now. */
  const settle = async (root: string, path: string, overwrite = false): Promise<Placed> => {
    const key = `${root}\n${path}`
    while (under.has(key)) await under.get(key)
    const work = settleAlone(root, path, overwrite).finally(() => under.delete(key))
    under.set(
      key,
      work.then(
        () => {},
        () => {},
      ),
    )
    return work
  }
  const settleAlone = async (root: string, path: string, overwrite: boolean): Promise<Placed> => {
    await checkFolders(root, dirname(join(root, HIDDEN, path)))
    const entry = store.find(entityImageKey(path))
    if (!entry?.isStored) return removeOurs(root, path)
    const placed = await place(root, path, entry, overwrite)
    // It may have been replaced meanwhile; who did that is told of it too, unless it was another process.
    const now = store.find(entityImageKey(path))
    return now?.digest === entry.digest || now === undefined ? placed : place(root, path, now, overwrite)
  }

  /** Puts the list of what is exported in its place, unless somebody has a file of that name there. */
  const finish = async (
    root: string,
    manifest: Awaited<ReturnType<typeof openManifest>>,
    overwrite: boolean | undefined,
  ): Promise<void> => {
    const target = join(root, HIDDEN, MANIFEST)
    const there = await statOf(target)
    if (there !== undefined && !overwrite && rowOf(root, MANIFEST, there) === undefined) {
      logger.warn({}, `artwork export: ${MANIFEST} is not ours and stays as it is`)
      return
    }
    // Written down before it is in its place: who dies in between knows it again.
    const stats = await manifest.facts()
    note(root, MANIFEST, stats, '', false)
    await manifest.finish(target)
    sql().forgetOthers.run(root, MANIFEST, String(stats.ino))
  }
  const run = async (
    to: string,
    { overwrite, signal, onProgress }: ExportRun = {},
  ): Promise<ExportReport> => {
    const root = resolve(to)
    const count = { linked: 0, copied: 0, current: 0, removed: 0, absent: 0, foreign: 0, failed: 0 }
    const total = store.stats().byRole.artwork
    await makeFolders(root, join(root, HIDDEN))
    const one = async (path: string): Promise<void> => {
      try {
        count[await settle(root, path, overwrite)] += 1
      } catch (error) {
        count.failed += 1
        logger.warn({ err: error, image: path }, 'artwork export: a file could not be placed')
      }
    }
    const answer = (complete: boolean): ExportReport => {
      const { absent: _absent, ...told } = count
      return { ...told, complete }
    }
    const manifest = await openManifest(root)
    try {
      let done = 0
      for (let after: string | undefined; ; await breathe()) {
        const page = store.select({ role: 'artwork', limit: PAGE, ...(after !== undefined && { after }) })
        const held = page.filter((entry) => entry.isStored)
        for (const entry of held) {
          if (signal?.aborted) return answer(false)
          await one(entry.key.slice('local/'.length))
        }
        await manifest.add(held)
        done += page.length
        onProgress?.(Math.min(done, total), total)
        const last = page.at(-1)
        if (last === undefined || page.length < PAGE) break
        after = last.key
      }
      for (let after = ''; ; await breathe()) {
        const paths = sql()
          .pathsAfter.all(root, after, PAGE)
          .map(({ path }) => path)
        for (const path of paths) {
          if (signal?.aborted) return answer(false)
          if (path !== MANIFEST && !store.find(entityImageKey(path))?.isStored) await one(path)
        }
        const last = paths.at(-1)
        if (last === undefined || paths.length < PAGE) break
        after = last
      }
      await clearTemporary(join(root, HIDDEN))
      await finish(root, manifest, overwrite)
      return answer(true)
    } finally {
      await manifest.discard()
    }
  }

  const waiting = new Set<string>()
  let following: { readonly root: string; readonly onLost: () => void } | undefined
  let busy: Promise<void> | undefined
  const follow = async (root: string): Promise<void> => {
    for (const path of waiting) {
      waiting.delete(path)
      try {
        await settle(root, path)
      } catch (error) {
        logger.warn({ err: error, image: path }, 'artwork export: a file could not be placed')
      }
    }
  }

  return {
    run,
    /**
     * From now on, follows what `changed` tells of.
     * @param onLost told when more has changed than can be followed: everything is to be gone through
     */
    followTo: (to: string, onLost: () => void): void => {
      following = { root: resolve(to), onLost }
    },
    /** Names have changed in the store. */
    changed: (names: readonly string[] | 'all'): void => {
      if (following === undefined) return
      const { root, onLost } = following
      if (names === 'all' || waiting.size > MOST_WAITING) {
        waiting.clear()
        onLost()
        return
      }
      for (const name of names) {
        const path = name.startsWith('local/') ? readArtworkPath(name.slice('local/'.length)) : undefined
        if (path !== undefined) waiting.add(path)
      }
      if (waiting.size === 0) return
      busy ??= follow(root).finally(() => {
        busy = undefined
      })
    },
    /** Resolves when what has changed so far has been followed. */
    settled: async (): Promise<void> => {
      while (busy !== undefined) await busy
    },
    close: async (): Promise<void> => {
      following = undefined
      waiting.clear()
      await busy
      opened?.db.close()
      opened = undefined
    },
  }
}

function statements(db: Database, inode: number | undefined) {
  return keep({
    db,
    inode,
    get: db.prepare<[string, string, string], Row>(
      'SELECT ino, digest, isLink, size, mtime FROM files WHERE root = ? AND path = ? AND ino = ?',
    ),
    put: db.prepare(
      'INSERT OR REPLACE INTO files VALUES (@root, @path, @ino, @digest, @isLink, @size, @mtime)',
    ),
    forget: db.prepare<[string, string]>('DELETE FROM files WHERE root = ? AND path = ?'),
    forgetOne: db.prepare<[string, string, string]>(
      'DELETE FROM files WHERE root = ? AND path = ? AND ino = ?',
    ),
    forgetOthers: db.prepare<[string, string, string]>(
      'DELETE FROM files WHERE root = ? AND path = ? AND ino <> ?',
    ),
    pathsAfter: db.prepare<[string, string, number], { path: string }>(
      'SELECT DISTINCT path FROM files WHERE root = ? AND path > ? ORDER BY path LIMIT ?',
    ),
  })
}

/** Makes a hard link; false where that cannot be done here. */
async function linked(content: string, to: string): Promise<boolean> {
  try {
    await link(content, to)
    return true
  } catch (error) {
    if (NO_LINK.includes(codeOf(error))) return false
    throw error
  }
}

/** Gives a file its name, unless there is one of that name. Answers whether it has it. */
async function put(temporary: string, target: string): Promise<boolean> {
  try {
    await link(temporary, target)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    if (!NO_LINK.includes(codeOf(error))) throw error
    await rename(temporary, target)
    return true
  }
}

/** Writes a copy, and waits until it is on the disk. Its time is that of the picture. */
async function copy(to: string, bytes: Buffer, at: number, mode: number): Promise<void> {
  const file = await open(to, 'wx', mode)
  try {
    await file.chmod(mode)
    await file.writeFile(bytes)
    await file.utimes(at / 1000, at / 1000)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The list of what is exported; it replaces the one before when it is whole. It may hold URLs that are nobody's business. */
async function openManifest(root: string) {
  const path = join(root, HIDDEN, `.artwork-${randomUUID()}.tmp`)
  const file = await open(path, 'wx', 0o600)
  let isOpen = true
  const close = async (): Promise<void> => {
    if (isOpen) await file.close()
    isOpen = false
  }
  return {
    add: async (entries: readonly Entry[]): Promise<void> => {
      const lines = entries.map((entry) => {
        const { digest, sourceUrl, ownerKind: kind, ownerId: id, storedAt } = entry
        const told = { path: entry.key.slice('local/'.length), digest, kind, id, sourceUrl, storedAt }
        return `${JSON.stringify(told)}\n`
      })
      if (lines.length > 0) await file.appendFile(lines.join(''))
    },
    facts: async (): Promise<BigIntStats> => {
      await file.sync()
      return lstat(path, { bigint: true })
    },
    finish: async (target: string): Promise<void> => {
      await close()
      await rename(path, target)
    },
    discard: async (): Promise<void> => {
      await close()
      await unlink(path).catch(() => {})
    },
  }
}

/** Takes away what an export that was killed left half done; what is new may be another process's. */
async function clearTemporary(folder: string): Promise<void> {
  const isOld = async (path: string) =>
    Date.now() - Number((await statOf(path))?.ctimeMs ?? 0) > HALF_DONE_FOR
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await clearTemporary(path)
    else if (entry.isFile() && TEMPORARY.test(entry.name) && (await isOld(path)))
      await unlink(path).catch(() => {})
  }
}
