import { defineConfig } from 'vitest/config'

/** The suites that need nothing but Node: `npm test`, `npm run test:sources`, and the routers once more, `npm run test:express4`. */
const common = {
  testTimeout: 180_000,
  hookTimeout: 180_000,
  restoreMocks: true,
  isolate: false,
  setupFiles: ['test/support/setup.ts'],
}
/** Suites with a command of their own, which CI runs too. */
const others = [
  'atproto',
  'browser',
  'cli',
  'cluster',
  'faults',
  'package',
  'postgres',
  'proxies',
  'quality',
  'stress',
].map((name) => `test/${name}/**`)
/** What is heavy is run once, and not again on every version of Node. */
const isLight = process.env.WITHOUT_STRESS !== undefined
const heavy = isLight
  ? [
      'test/store/maintenance.test.ts',
      // What reads or compiles the sources, compares pixels, or prints markup, is the same on every version.
      'test/{architecture,glossary}.test.ts',
      'test/{docs,model,options,templates}/**',
      'test/conformance/{freshness,upstream-answers}.test.ts',
      'test/end-to-end/{upstream,records}.test.ts',
      'test/web/dashboard/**',
      'test/transform/{colours,formats,pictures,pictures-property}.test.ts',
    ]
  : []
/** Tests of other rooms that go through the routers, and tests of the routers that do not depend on Express' version. */
const throughRouters = [
  'test/fetch/{addresses,upstream-fields}.test.ts',
  'test/images/unsigned-requests.test.ts',
  'test/sources/{remote-headers,tmdb}.test.ts',
]
const independentOfExpress = [
  'test/web/{dashboard/dashboard-router,management/{cors,openapi},shared/large-json,images/{broken-images,entity-sizes,private-uploads}}.test.ts',
]
/** What compiles the sources and the documents, runs nothing of them, and takes long: `npm run test:sources`. */
const compiled = [
  'test/docs/documents.test.ts',
  'test/jobs/job-kinds.test.ts',
  'test/options/public-types.test.ts',
]
const source = new URL('./src/index.ts', import.meta.url).pathname
const express4 = {
  resolve: { alias: { 'express-artwork': source, express: 'express4' } },
  test: {
    ...common,
    name: 'express 4',
    env: { EXPRESS_MAJOR: '4' },
    include: ['test/web/**/*.test.ts', ...throughRouters],
    exclude: independentOfExpress,
  },
}

export default defineConfig({
  test: {
    // Most of the time is waiting for files, children and sockets.
    maxWorkers: 3,
    projects: [
      {
        resolve: { alias: { 'express-artwork': source } },
        test: {
          ...common,
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: [...others, ...heavy, ...compiled],
        },
      },
      {
        resolve: { alias: { 'express-artwork': source } },
        test: { ...common, name: 'sources', include: compiled },
      },
      express4,
    ],
  },
})
