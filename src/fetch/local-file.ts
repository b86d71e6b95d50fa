/**
 * Originals that are files of this machine, below a folder that the app names. What lies outside it, links that lead there,
 * and what is no plain file are refused; what is read is one state of a file, whole.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, realpath, stat } from 'node:fs/promises'
import { isAbsolute, join, relative, sep } from 'node:path'
import { ArtworkError, codeOf } from '../model/failure.js'
import type { FileLocation } from '../model/location.js'
import { sniff } from '../model/media-type.js'
import type { Fetcher } from './ports.js'
import { isSpelledAsOnDisk } from './spelling.js'

/** How often a file that changes while it is read is read anew. */
const TRIES = 4
/** A file that is exchanged for a pipe does not hold up who opens it. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0)

/** Nothing that a client says is repeated: which files there are is nobody's business. */
const missing = (): ArtworkError => new ArtworkError('unknown_image', 'there is no such image')

/** What the state of a file is known by. */
interface State {
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly ino: bigint
  readonly dev: bigint
  isFile(): boolean
}

/** By its inode, too: another file that a link leads to by now is not taken for the one that was read. */
const validatorOf = ({ size, mtimeNs, ino }: State): string => `${size}-${mtimeNs}-${ino}`
const isSame = (one: State, other: State): boolean =>
  one.dev === other.dev && validatorOf(one) === validatorOf(other)

/** What the file system says, as a row of the table of failures. */
function failureOf(error: unknown): ArtworkError {
  if (error instanceof ArtworkError) return error
  const code = codeOf(error)
  if (code === 'EMFILE' || code === 'ENFILE')
    return new ArtworkError('unavailable', 'too many files are open', { retryAfter: 2, cause: error })
  if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EISDIR', 'ENXIO', 'EINVAL'].includes(code ?? ''))
    return missing()
  return new ArtworkError('unavailable', 'the file cannot be read', { retryAfter: 60, cause: error })
}

/**
 * The path of a file with every link followed.
 * @throws ArtworkError `unknown_image` (404) for what is not there, `refused` (403) for what lies outside the folder
 */
async function pathOf({ root, segments }: FileLocation): Promise<string> {
  const folder = await realpath(root)
  const real = await realpath(join(folder, ...segments))
  const below = relative(folder, real)
  if (below === '' || below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below))
    throw new ArtworkError('refused', 'the file lies outside its folder')
  if (!(await isSpelledAsOnDisk(folder, segments))) throw missing()
  return real
}

/** The bytes of an open file, so many at most. @throws ArtworkError `too_large` (413) */
async function contentsOf(handle: FileHandle, { size }: State, maxBytes: number): Promise<Buffer> {
  if (size > BigInt(maxBytes)) throw new ArtworkError('too_large', 'the image has too many bytes')
  const bytes = Buffer.allocUnsafeSlow(Number(size))
  let length = 0
  while (length < bytes.length) {
    const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return bytes.subarray(0, length)
}

/** One state of a file, or undefined where it changed meanwhile. */
async function readOnce(
  location: FileLocation,
  maxBytes: number,
): Promise<{ readonly bytes: Buffer; readonly state: State } | undefined> {
  const path = await pathOf(location)
  const handle = await open(path, FLAGS)
  try {
    const state = await handle.stat({ bigint: true })
    if (!state.isFile()) throw missing()
    const bytes = await contentsOf(handle, state, maxBytes)
    // A folder on the way may have become a link since the path was looked at.
    const isUnmoved = (await realpath(path)) === path && isSame(state, await stat(path, { bigint: true }))
    const isUnchanged = isSame(state, await handle.stat({ bigint: true }))
    return isUnmoved && isUnchanged && BigInt(bytes.length) === state.size ? { bytes, state } : undefined
  } finally {
    await handle.close()
  }
}

/** Makes what reads files. See the port of the fetcher for its errors. @param maxBytes of one */
export function createLocalFiles({
  maxBytes,
}: {
  readonly maxBytes: number
}): Pick<Fetcher, 'readFile' | 'fileValidator'> {
  return {
    /** Where the file lies is not judged: that was done of whatever has the same validator. */
    fileValidator: async ({ root, segments }: FileLocation): Promise<string> => {
      try {
        const state = await stat(join(root, ...segments), { bigint: true })
        if (!state.isFile()) throw missing()
        return validatorOf(state)
      } catch (error) {
        throw failureOf(error)
      }
    },
    readFile: async (location) => {
      try {
        for (let time = 0; time < TRIES; time += 1) {
          const read = await readOnce(location, maxBytes)
          if (read === undefined) continue
          const { bytes, state } = read
          if (bytes.length === 0) throw new ArtworkError('bad_answer', 'the file is empty')
          const kind = sniff(bytes)
          if (kind === undefined)
            throw new ArtworkError('unsupported', 'this is not an image of a known format')
          return { bytes, kind, validator: validatorOf(state) }
        }
      } catch (error) {
        throw failureOf(error)
      }
      throw new ArtworkError('unavailable', 'the file is being written', { retryAfter: 2 })
    },
  }
}
