/** The Dockerfile, as far as it can be tried without a builder: its instructions, and its health check against the service. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { startService } from '../support/child-process.js'
import { pageAt, root } from '../support/documents.js'
import { eventually } from '../support/eventually.js'

const text = readFileSync(`${root}Dockerfile`, 'utf8')
/** Instructions of the last stage, continued lines joined. */
const instructions = text
  .replace(/\\\n\s*/g, ' ')
  .split('\n')
  .filter((line) => /^[A-Z]+ /.test(line))
const stage = instructions.slice(instructions.findLastIndex((line) => line.startsWith('FROM ')))
const instruction = (name: string): string =>
  stage.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1) ?? ''

test('the image is small, runs as a user of its own, and keeps its data in a volume of that user', () => {
  expect(instruction('FROM')).toMatch(/-slim$/)
  expect(instruction('USER')).toBe('node')
  const index = (start: string): number => stage.findIndex((line) => line.startsWith(start))
  expect(index('USER ')).toBeGreaterThan(index('RUN mkdir'))
  expect(instruction('RUN')).toContain(`chown node:node ${instruction('VOLUME')}`)
  expect(instruction('ENV')).toContain(`ARTWORK_DIRECTORY=${instruction('VOLUME')}`)
  const { engines } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { engines: { node: string } }
  const [least = 99] = /\d+/.exec(engines.node)?.map(Number) ?? []
  for (const [, major] of text.matchAll(/^FROM node:(\d+)/gm))
    expect(Number(major)).toBeGreaterThanOrEqual(least)
})

test('what is copied into the build is not what must stay out of it', () => {
  const ignored = readFileSync(`${root}.dockerignore`, 'utf8').split('\n')
  for (const name of ['node_modules', '.git', 'data']) expect(ignored).toContain(name)
})

test('its command is one of the package, and its health check tells a service that answers from one that does not', async () => {
  const { bin } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { bin: Record<string, string> }
  expect(JSON.parse(instruction('CMD'))).toEqual([`node_modules/.bin/${Object.keys(bin)[0]}`, 'serve'])
  const [command = '', ...args] = JSON.parse(
    /CMD (\[.*\])/.exec(instruction('HEALTHCHECK'))?.[1] ?? '[]',
  ) as string[]
  expect(command).toBe('node')
  const service = await startService({})
  const check = (url: string) =>
    promisify(execFile)(
      process.execPath,
      args.map((arg) => arg.replace('http://127.0.0.1:3000', url)),
    )
  // One that has just started may not be ready yet: the check is made again and again.
  await eventually(() => check(service.url))
  await service.stop()
  await expect(check(service.url)).rejects.toMatchObject({ code: 1 })
})

test('the documentation shows the same last stage', () => {
  const shown = /```dockerfile\n([\s\S]*?)```/.exec(pageAt('docs/deploying.md').text)?.[1] ?? ''
  for (const line of ['USER node', instruction('HEALTHCHECK'), instruction('CMD')])
    expect(shown.replace(/\\\n\s*/g, ' ')).toContain(line)
})
