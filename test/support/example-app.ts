/** The example app as a process of its own, the way `npm start` runs it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'

const root = new URL('../../', import.meta.url).pathname

/** A port that was free a moment ago. */
export const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })

/** A running example app. */
export interface RunningExample {
  readonly url: string
  readonly output: () => string
  /** Ends it by SIGTERM (told again, it must not wait); answers its exit code. */
  stop(): Promise<number | null>
}

/** Starts `npm start`'s command with this environment and waits for the line that tells its URL. */
export function startExample(env: Readonly<Record<string, string>>): Promise<RunningExample> {
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', 'example-app/main.ts'], {
    cwd: root,
    env: { ...process.env, ...env },
  })
  let output = ''
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  return new Promise((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk
      const url = /An evening in: (http:\/\/\S+)/.exec(output)?.[1]
      if (url === undefined) return
      const stop = () => {
        child.kill('SIGTERM')
        return exited
      }
      resolve({ url, output: () => output, stop })
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    void exited.then(() => reject(new Error(`the example app ended: ${output}`)))
  })
}
