import { expect, test } from 'vitest'
import { commandLinePage } from '../../docs/generate/command-line.js'
import { pageAt } from '../support/documents.js'

test('the reference of the command line is what the commands say of themselves (npm run docs:reference)', async () => {
  expect(pageAt('docs/reference/command-line.md').text).toBe(await commandLinePage())
}, 180_000)
