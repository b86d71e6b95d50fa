/** `express-artwork serve` as a process of its own, from the built package's sources. */
import { type ChildProcess, spawn } from 'node:child_process'
import { atEnd, temporaryFolder } from './app.js'

const root = new URL('../../', import.meta.url).pathname

/** A running service. */
export interface Service {
  readonly url: string
  readonly directory: string
  readonly child: ChildProcess
  /** What it wrote to its log so far, JSON a line. */
  log(): string
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** Runs the command line until it ends. */
export function runCli(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', `${root}src/cli/main.ts`, ...args], {
    cwd: root,
    env: { PATH: process.env.PATH ?? '', ...env },
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (piece) => {
    out += piece
  })
  child.stderr.on('data', (piece) => {
    err += piece
  })
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })))
}

/** Starts the service; it ends with the test. */
export async function startService(
  env: Readonly<Record<string, string>> = {},
  args: readonly string[] = [],
): Promise<Service> {
  const directory = env.ARTWORK_DIRECTORY ?? (await temporaryFolder())
  const child = spawn(process.execPath, ['--import', 'tsx', `${root}src/cli/main.ts`, 'serve', ...args], {
    cwd: root,
    env: { PATH: process.env.PATH ?? '', ARTWORK_DIRECTORY: directory, PORT: '0', HOST: '127.0.0.1', ...env },
  })
  let [out, err] = ['', '']
  child.stderr.on('data', (piece) => {
    err += piece
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (piece) => {
      out += piece
      const [, found] = /serves at (http:\S+)/.exec(out) ?? []
      if (found !== undefined) resolve(found)
    })
    child.on('close', () => reject(new Error(`the service ended: ${err}`)))
  })
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    child.kill(signal)
    return ended
  }
  atEnd(() => stop('SIGKILL'))
  return { url, directory, child, log: () => err, stop }
}
