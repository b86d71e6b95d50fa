/** The transcript in the documentation of the command line: every command is run as it stands there, and answers what stands there. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { startService } from '../support/child-process.js'
import { pageAt } from '../support/documents.js'
import { jpeg } from '../support/images.js'
import { temporaryFolder } from '../support/toolkit.js'

const run = promisify(execFile)

interface Step {
  readonly command: string
  readonly output: string
}
const steps: Step[] = []
for (const line of (/```console\n([\s\S]*?)```/.exec(pageAt('docs/command-line.md').text)?.[1] ?? '')
  .trimEnd()
  .split('\n')) {
  const last = steps.at(-1)
  if (line.startsWith('$ ')) steps.push({ command: line.slice(2), output: '' })
  else if (last !== undefined) steps[steps.length - 1] = { ...last, output: `${last.output}${line}\n` }
}
/** Text with `…` in it as a pattern. */
const pattern = (text: string): RegExp =>
  new RegExp(
    `^${text
      .split('…')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('[^"]*?')}$`,
  )

test('the transcript of the documentation is true', async () => {
  await run('curl', ['--version']).catch(() => {
    throw new Error('this test needs curl: apt-get install -y curl')
  })
  const [start, ...commands] = steps
  expect(commands.length).toBeGreaterThan(15)
  expect(start?.command).toContain('express-artwork serve &')
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'picture.jpg'), await jpeg(1600, 900))
  const [, token = ''] = /ARTWORK_UPLOAD_TOKEN=(\S+)/.exec(start?.command ?? '') ?? []
  const service = await startService({ ARTWORK_UPLOAD_TOKEN: token })
  const mark = '--- end of a step ---'
  const script = commands.map(({ command }) => `${command}\necho "${mark}"`).join('\n')
  const { stdout } = await run('bash', ['-c', script.replaceAll('http://localhost:3000', service.url)], {
    cwd: folder,
  })
  const outputs = stdout.split(`${mark}\n`)
  for (const [index, { command, output }] of commands.entries())
    expect(outputs[index]?.trimEnd(), command).toMatch(pattern(output.trimEnd()))
  for (const verb of [
    'GET',
    'POST',
    'PUT',
    'DELETE',
    'fetch',
    'proxy',
    'health',
    'ready',
    'metrics',
    'openapi',
  ])
    expect(
      verb === 'GET' || verb === 'POST' || commands.some(({ command }) => command.includes(verb)),
      verb,
    ).toBe(true)
})
