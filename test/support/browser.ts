/** Real browsers for the tests: Debian's Chromium, driven by playwright-core, and screenshots of Debian's Firefox. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Browser, chromium } from 'playwright-core'

const PLACES = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
]

/** Starts Chromium. @throws Error that says how to get it */
export function openBrowser(): Promise<Browser> {
  const executablePath = PLACES.find((place) => place !== undefined && existsSync(place))
  if (executablePath === undefined)
    throw new Error(
      'These tests need Chromium: run `apt-get install -y chromium`, or set CHROMIUM to the path of one.',
    )
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

const FIREFOXES = [process.env.FIREFOX, '/usr/bin/firefox-esr', '/usr/bin/firefox']

/** What Firefox shows of a page when its `load` event has come. @throws Error that says how to get Firefox */
export async function firefoxScreenshot(
  url: string,
  { width, height }: { readonly width: number; readonly height: number },
): Promise<Buffer> {
  const program = FIREFOXES.find((place) => place !== undefined && existsSync(place))
  if (program === undefined)
    throw new Error(
      'These tests need Firefox: run `apt-get install -y firefox-esr`, or set FIREFOX to the path of one.',
    )
  const profile = await mkdtemp(join(tmpdir(), 'artwork-firefox-'))
  try {
    const file = join(profile, 'screen.png')
    const args = ['--headless', '--no-remote', '--profile', profile, `--window-size=${width},${height}`]
    await promisify(execFile)(program, [...args, '--screenshot', file, url], {
      env: { ...process.env, HOME: profile },
      timeout: 120_000,
    })
    return await readFile(file)
  } finally {
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}
