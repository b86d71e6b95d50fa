import { defineConfig } from 'vitest/config'

/** The suite that needs Ceph's RADOS Gateway, Swift, Redis and nginx. It fails, and says how to get them, where they are missing. */
const root = new URL('../../', import.meta.url).pathname

export default defineConfig({
  root,
  resolve: { alias: { 'express-artwork': `${root}src/index.ts` } },
  test: {
    name: 'cluster',
    setupFiles: ['test/support/setup.ts'],
    include: ['test/cluster/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
})
