/**
 * File systems of Windows, macOS and some mounts take several spellings for one name: other case, other composition of letters
 * with accents. Only the one that is on disk is an address, so that one file has one.
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** What is asked of a file system. */
export interface Disk {
  /** Which file is behind a path; it throws where there is none. */
  stat(path: string): Promise<{ readonly ino: number; readonly dev: number }>
  /** The names in a folder. */
  readdir(path: string): Promise<readonly string[]>
}

const swapCase = (name: string): string =>
  [...name].map((char) => (char === char.toLowerCase() ? char.toUpperCase() : char.toLowerCase())).join('')

/** Other spellings of a name that some file systems do not tell apart from it. */
const otherSpellings = (name: string): readonly string[] =>
  [swapCase(name), name.normalize('NFC'), name.normalize('NFD')].filter((other) => other !== name)

/** Whether each name of a path below a folder is as it is on disk. @throws what the disk throws where there is no such file */
export async function isSpelledAsOnDisk(
  folder: string,
  names: readonly string[],
  disk: Disk = { stat, readdir },
): Promise<boolean> {
  for (const [index, name] of names.entries()) {
    const parent = join(folder, ...names.slice(0, index))
    const own = await disk.stat(join(parent, name))
    for (const other of otherSpellings(name)) {
      const found = await disk.stat(join(parent, other)).catch(() => undefined)
      // A folder is only listed where it matters: it may have many names.
      const isSame = found?.ino === own.ino && found.dev === own.dev
      if (isSame && !(await disk.readdir(parent)).includes(name)) return false
    }
  }
  return true
}
