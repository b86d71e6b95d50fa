/** What is given for deploying names what there is: variables, paths of probes, files. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { environmentNames } from '#src/options/env-variables.js'
import { root } from '../support/documents.js'

const read = (file: string): string => readFileSync(`${root}${file}`, 'utf8')
const FILES = ['compose.yaml', 'docs/deploy/compose.cluster.yaml', 'docs/deploy/kubernetes.yaml']

describe.each(FILES)('%s', (file) => {
  const text = read(file)
  test('is YAML without an error', () => {
    const documents = parseAllDocuments(text, { merge: true })
    expect(documents.length).toBeGreaterThan(0)
    for (const document of documents) expect(document.errors).toEqual([])
  })
  test('names variables that the service knows', () => {
    const names = [...text.matchAll(/\b(ARTWORK_[A-Z0-9_]+)\b/g)].map(([, name]) => name)
    expect(names.length).toBeGreaterThan(1)
    expect(
      names.filter((name) => name !== 'ARTWORK_DIRECTORY' && !environmentNames().includes(name ?? '')),
    ).toEqual([])
  })
})

test('the cluster has three nodes with directories of their own, and nginx knows all of them', () => {
  const { services } = parse(read('docs/deploy/compose.cluster.yaml'), { merge: true }) as {
    services: Record<string, { volumes?: string[]; build?: { context: string; args: { PACKAGES: string } } }>
  }
  const nodes = Object.entries(services).filter(([, { build }]) => build !== undefined)
  expect(new Set(nodes.map(([, { volumes }]) => volumes?.[0])).size).toBe(3)
  const nginx = read('docs/deploy/nginx.cluster.conf')
  expect([...nginx.matchAll(/server (\w+):3000/g)].map(([, name]) => name)).toEqual(
    nodes.map(([name]) => name),
  )
  expect(existsSync(`${root}docs/deploy/nginx.cluster.conf`)).toBe(true)
  const { peerDependencies } = JSON.parse(read('package.json')) as { peerDependencies: object }
  for (const [, { build }] of nodes) {
    expect(existsSync(`${root}docs/deploy/${build?.context}/Dockerfile`)).toBe(true)
    // What `s3()`, `redis()` and `bullmq()` load.
    const packages = build?.args.PACKAGES.split(' ') ?? []
    expect(packages.slice().sort()).toEqual(['@aws-sdk/client-s3', 'bullmq', 'ioredis'])
    for (const name of packages) expect(Object.keys(peerDependencies)).toContain(name)
  }
  expect(read('Dockerfile')).toMatch(/^RUN npm install.* \$PACKAGES$|^RUN npm init.* \$PACKAGES$/m)
  expect(read('docs/deploy/kubernetes.yaml')).toContain('@aws-sdk/client-s3 ioredis bullmq')
})

test('probes ask what the service answers', () => {
  const text = read('docs/deploy/kubernetes.yaml')
  expect([...text.matchAll(/path: (\/\w+)/g)].map(([, path]) => path)).toEqual([
    '/health',
    '/health',
    '/ready',
  ])
})
