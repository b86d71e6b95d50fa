/** Programs of the documentation that come to an end by themselves are run, and print what their page says. */
import { transformSync } from 'esbuild'
import * as api from 'express-artwork'
import { expect, test, vi } from 'vitest'
import { blocksOf, pageAt } from '../support/documents.js'
import { quietLogger, temporaryFolder } from '../support/toolkit.js'

const PAGES = ['cms', 'focal-points', 'private', 'testing'].map((name) => `docs/${name}.md`)
const IMPORT = /^import \{([^}]+)\} from 'express-artwork'$/gm

const programs = PAGES.flatMap((path) => {
  const blocks = blocksOf(pageAt(path))
  return blocks.flatMap(({ language, code: text }, index) => {
    const isWhole = language === 'ts' && text.includes('await artwork.close()')
    const isAlone = !/^import (?!.*'express-artwork')/m.test(text)
    const next = blocks[index + 1]
    return isWhole && isAlone
      ? [{ path, text, says: next?.language === 'text' ? next.code.trim() : undefined }]
      : []
  })
})

test('there are some on each page', () => {
  expect([...new Set(programs.map(({ path }) => path))].sort()).toEqual(PAGES)
  expect(programs.filter(({ says }) => says !== undefined).length).toBeGreaterThan(1)
})

test.each(programs)('$path: $says', async ({ text, says }) => {
  const directory = await temporaryFolder()
  const { code } = transformSync(text.replace(IMPORT, 'const {$1} = api'), {
    loader: 'ts',
    supported: { 'top-level-await': true },
  })
  vi.stubEnv('SIGNING_KEY', 'a key of sixteen characters')
  const printed: string[] = []
  const console = { log: (...given: unknown[]) => void printed.push(given.join(' ')) }
  const createArtwork = (options: api.ArtworkOptions = {}) =>
    api.createArtwork({ directory, logger: quietLogger(), ...options })
  const run = new Function('api', 'console', `return (async () => {${code}})()`)
  await run({ ...api, createArtwork }, console)
  vi.unstubAllEnvs()
  if (says !== undefined) expect(printed.join('\n')).toBe(says)
})
