import { defineConfig } from 'vitest/config'

/** The suite that needs Varnish and nginx. It fails, and says how to get them, where they are missing. */
const root = new URL('../../', import.meta.url).pathname

export default defineConfig({
  root,
  resolve: { alias: { 'express-artwork': `${root}src/index.ts` } },
  test: {
    name: 'proxies',
    include: ['test/proxies/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
})
