/** Names on file systems that do not tell spellings apart, as those of Windows and macOS; and on this one, which does. */
import { link, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Disk, isSpelledAsOnDisk } from '#src/fetch/spelling.js'
import { temporaryFolder } from '../support/toolkit.js'

/** A disk of these paths, found by any of their spellings. @param isSensitive folders in which case counts */
function lenient(paths: readonly string[], isSensitive: (path: string) => boolean = () => false): Disk {
  const fold = (path: string): string =>
    path
      .split('/')
      .map((name, index, names) =>
        isSensitive(names.slice(0, index).join('/')) ? name : name.normalize().toLowerCase(),
      )
      .join('/')
  const all = [
    ...new Set(
      paths.flatMap((path) => path.split('/').map((_, index, names) => names.slice(0, index + 1).join('/'))),
    ),
  ]
  return {
    stat: async (path) => {
      const ino = all.findIndex((one) => fold(one) === fold(path))
      if (ino < 0) throw new Error('ENOENT')
      return { ino, dev: 1 }
    },
    readdir: async (folder) =>
      all
        .filter((path) => fold(path.slice(0, path.lastIndexOf('/'))) === fold(folder))
        .map((path) => path.slice(path.lastIndexOf('/') + 1)),
  }
}

describe('where spellings are not told apart', () => {
  const disk = lenient(['/site/Photos/Hero.jpg', '/site/Photos/caf\u00e9.jpg', '/site/2024/1.png'])
  test.each([
    ['Photos/Hero.jpg', true],
    ['photos/Hero.jpg', false],
    ['Photos/HERO.JPG', false],
    ['Photos/hero.jpg', false],
    ['Photos/caf\u00e9.jpg', true],
    ['Photos/cafe\u0301.jpg', false],
    ['Photos/CAF\u00c9.jpg', false],
    ['2024/1.png', true],
    ['2024/1.PNG', false],
  ])('%s: %s', async (path, isOne) =>
    expect(await isSpelledAsOnDisk('/site', path.split('/'), disk)).toBe(isOne),
  )

  test('in one folder of a disk that does', async () => {
    const mixed = lenient(['/site/a/Hero.jpg'], (folder) => folder !== '/site/a')
    expect(await isSpelledAsOnDisk('/site', ['a', 'Hero.jpg'], mixed)).toBe(true)
    expect(await isSpelledAsOnDisk('/site', ['a', 'HERO.JPG'], mixed)).toBe(false)
  })
})

test('where they are, each name is its own, links and several names of one file too', async () => {
  const folder = await temporaryFolder()
  await mkdir(join(folder, 'a'))
  await writeFile(join(folder, 'a', 'hero.jpg'), '')
  await link(join(folder, 'a', 'hero.jpg'), join(folder, 'a', 'HERO.JPG'))
  await symlink('hero.jpg', join(folder, 'a', 'Hero.jpg'))
  for (const name of ['hero.jpg', 'HERO.JPG', 'Hero.jpg'])
    expect(await isSpelledAsOnDisk(folder, ['a', name])).toBe(true)
  await expect(isSpelledAsOnDisk(folder, ['A', 'hero.jpg'])).rejects.toThrow(/ENOENT/)
})
