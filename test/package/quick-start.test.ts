/** The README's quick start, in an empty folder, with the packed tarball installed. */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'

const root = new URL('../../', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'artwork-quick-start-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })

test('the quick start of the README serves an image', async () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const chapter = readme.split('## Quick start\n')[1] ?? ''
  const code = /```js\n([\s\S]*?)```/.exec(chapter)?.[1] ?? ''
  const install = /```sh\nnpm (install [^\n]*)/.exec(chapter)?.[1] ?? ''
  expect(install).toBe('install express-artwork express nunjucks')

  const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
  })
  const tarball = join(folder, packed.trim().split('\n').at(-1) ?? '')
  writeFileSync(join(folder, 'package.json'), '{ "name": "stranger", "private": true }')
  execFileSync('npm', install.replace('express-artwork', tarball).split(' '), { cwd: folder, stdio: 'pipe' })
  writeFileSync(join(folder, 'server.mjs'), code)

  const port = await freePort()
  const server = spawn(process.execPath, ['server.mjs'], {
    cwd: folder,
    env: { ...process.env, PORT: String(port) },
  })
  let told = ''
  server.stderr.on('data', (chunk: Buffer) => {
    told += chunk
  })
  try {
    await new Promise((resolve, reject) => {
      server.stdout.once('data', resolve)
      server.once('exit', () => reject(new Error(`the server ended: ${told}`)))
    })
    const page = async () => (await fetch(`http://127.0.0.1:${port}/`)).text()
    const shown = async () => /<img src="([^"]+)"/.exec(await page())?.[1] ?? ''
    expect(await shown()).toBe('http://127.0.0.1:3001/sunset.png')
    await expect
      .poll(shown, { timeout: 30_000 })
      .toMatch(/^\/artwork\/local\/albums\/su\/sunset\.webp\?v=[0-9a-f]{16}$/)
    const answer = await fetch(`http://127.0.0.1:${port}${await shown()}`)
    const bytes = Buffer.from(await answer.arrayBuffer())
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/webp'])
    expect(bytes.subarray(8, 12).toString()).toBe('WEBP')
    expect(told).toBe('')
  } finally {
    server.kill()
  }
})
