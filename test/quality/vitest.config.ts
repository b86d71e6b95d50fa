import { defineConfig } from 'vitest/config'

/** How formats look at their default qualities. Needs `ssimulacra_main` and `butteraugli_main` (Debian: libjxl-devtools). */
const root = new URL('../../', import.meta.url).pathname

export default defineConfig({
  root,
  resolve: { alias: { 'express-artwork': `${root}src/index.ts` } },
  test: {
    name: 'quality',
    include: ['test/quality/**/*.test.ts'],
    testTimeout: 600_000,
  },
})
