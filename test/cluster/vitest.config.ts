import { defineConfig } from 'vitest/config'

/**
 * The suite that needs Ceph's RADOS Gateway, Swift, Redis and nginx. It fails, and says how to get them, where they are missing.
 * Beside it, what one node has to keep is asked of a node over a shared store too, which is in memory there, with the queue in a Redis.
 */
const root = new URL('../../', import.meta.url).pathname
const resolve = { alias: { 'express-artwork': `${root}src/index.ts` } }
const common = {
  setupFiles: ['test/support/setup.ts'],
  testTimeout: 180_000,
  hookTimeout: 120_000,
}
/** Tests of the parity with earlier services, as far as they go through the toolkit. */
const parity = [
  'end-to-end/{upstream,streamers}',
  'images/{validate,entity-images,purge}',
  'jobs/{cleanup,refresher}',
  'uploads/fetching',
  'web/management/management-router',
].map((name) => `test/${name}.test.ts`)

export default defineConfig({
  root,
  test: {
    maxWorkers: 3,
    projects: [
      {
        root,
        resolve,
        test: {
          ...common,
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          fileParallelism: false,
        },
      },
      {
        root,
        resolve,
        test: {
          ...common,
          name: 'one node over a shared store',
          env: { SHARED_TIER: 'memory' },
          globalSetup: [`${root}test/fixtures/one-redis.ts`],
          isolate: false,
          restoreMocks: true,
          include: parity,
        },
      },
    ],
  },
})
