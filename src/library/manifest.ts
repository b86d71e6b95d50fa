/** The manifest of an export: a line of JSON a file, with whose picture it is and where it came from. */
import { type BigIntStats, createReadStream } from 'node:fs'
import { lstat, open, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Entry, Looks } from '../model/entry.js'
import { HIDDEN, temporaryIn } from './export-files.js'

/** Name of the manifest in the hidden directory. */
export const MANIFEST = 'manifest.jsonl'

/** The entity that a picture belongs to. */
export interface Owner {
  readonly kind: string
  readonly id: string
  readonly sourceUrl?: string | undefined
  /** Of the bytes that this was written about. */
  readonly digest?: string | undefined
}

/** The path of an entity image, from its key. */
export const exportPath = ({ key }: Pick<Entry, 'key'>): string => key.slice('local/'.length)

/** A picture that is exported, and what its original looks like, where that is known. */
export interface ExportedImage {
  readonly entry: Entry
  readonly looks: Looks & Pick<Entry, 'focalPoint'>
}

/** Begins a manifest, which replaces the one before once it is whole. Only its owner may read it: URLs may hold secrets. */
export async function openManifest(root: string) {
  const path = temporaryIn(join(root, HIDDEN))
  const file = await open(path, 'wx', 0o600)
  let isOpen = true
  const close = async (): Promise<void> => {
    if (isOpen) await file.close()
    isOpen = false
  }
  return {
    add: async (images: readonly ExportedImage[]): Promise<void> => {
      const lines = images.map(({ entry, looks }) => {
        const { digest, sourceUrl, ownerKind: kind, ownerId: id, storedAt, width, height } = entry
        const path = exportPath(entry)
        return `${JSON.stringify({ path, digest, kind, id, sourceUrl, storedAt, width, height, ...looks })}\n`
      })
      if (lines.length > 0) await file.appendFile(lines.join(''))
    },
    /** Waits until it is on the disk. */
    sync: async (): Promise<BigIntStats> => {
      await file.sync()
      return lstat(path, { bigint: true })
    },
    publish: async (target: string): Promise<void> => {
      await close()
      await rename(path, target)
    },
    discard: async (): Promise<void> => {
      await close()
      await unlink(path).catch(() => {})
    },
  }
}

/** The lines of the manifest in a folder; those that cannot be read are passed over. */
export async function* readManifest(folder: string): AsyncGenerator<Owner & { readonly path: string }> {
  const file = join(folder, MANIFEST)
  if (!(await lstat(file).catch(() => undefined))?.isFile()) return
  const input = createReadStream(file)
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    const read = readLine(line)
    if (read !== undefined) yield read
  }
}

function readLine(line: string): (Owner & { readonly path: string }) | undefined {
  try {
    const fields: unknown = JSON.parse(line)
    if (typeof fields !== 'object' || fields === null) return undefined
    const { path, kind, id, sourceUrl, digest } = fields as Record<string, unknown>
    if (typeof path !== 'string' || typeof kind !== 'string' || typeof id !== 'string') return undefined
    return {
      path,
      kind,
      id,
      ...(typeof sourceUrl === 'string' && { sourceUrl }),
      ...(typeof digest === 'string' && { digest }),
    }
  } catch {
    return undefined
  }
}
