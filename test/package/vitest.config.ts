import { defineConfig } from 'vitest/config'

/** The package as a stranger gets it; takes an `npm install`, so it is a suite of its own. */
export default defineConfig({
  root: new URL('../../', import.meta.url).pathname,
  test: {
    name: 'package',
    include: ['test/package/**/*.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
})
