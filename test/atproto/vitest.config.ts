import { defineConfig } from 'vitest/config'

/** AT Protocol against the real thing: installs a PDS and a PLC directory, which run on a Node of their own. */
const root = new URL('../../', import.meta.url).pathname

export default defineConfig({
  root,
  resolve: { alias: { 'express-artwork': `${root}src/index.ts` } },
  test: {
    name: 'atproto',
    isolate: false,
    setupFiles: ['test/support/setup.ts'],
    include: ['test/atproto/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 600_000,
  },
})
