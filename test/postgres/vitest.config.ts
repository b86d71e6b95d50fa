import { defineConfig } from 'vitest/config'

/** The suite that needs PostgreSQL. It fails, and says how to get it, where it is missing. */
const root = new URL('../../', import.meta.url).pathname

export default defineConfig({
  root,
  resolve: { alias: { 'express-artwork': `${root}src/index.ts` } },
  test: {
    name: 'postgres',
    isolate: false,
    setupFiles: ['test/support/setup.ts'],
    include: ['test/postgres/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
})
