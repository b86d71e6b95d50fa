import { defineConfig } from 'vitest/config'

/** The suite that needs Varnish and nginx. It fails, and says how to get them, where they are missing. */
export default defineConfig({
  root: new URL('../../', import.meta.url).pathname,
  test: {
    name: 'proxies',
    include: ['test/proxies/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
})
