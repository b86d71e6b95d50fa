import { defineConfig } from 'vitest/config'

/** Every fault of `test/data/faults.json`, really injected: a suite of its own, since it takes minutes. */
const root = new URL('../../', import.meta.url).pathname

export default defineConfig({
  root,
  resolve: { alias: { 'express-artwork': `${root}src/index.ts` } },
  test: {
    name: 'faults',
    isolate: false,
    restoreMocks: true,
    setupFiles: ['test/support/setup.ts'],
    include: ['test/faults/**/*.test.ts'],
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
})
