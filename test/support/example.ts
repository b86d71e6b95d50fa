/** The example site as a process, for scripts that no test runner is in. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

/** A running example site. */
export interface RunningExample {
  readonly url: string
  stop(): Promise<void>
}

/** Starts it. @param directory where it keeps its data */
export async function runExample(directory: string): Promise<RunningExample> {
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', 'example-app/main.ts'], {
    cwd: new URL('../../', import.meta.url).pathname,
    env: { ...process.env, PORT: '0', DATA_DIR: directory, WARM_DELAY: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  child.stdout?.setEncoding('utf8')
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout?.on('data', (chunk: string) => {
      printed += chunk
      const [found] = /http:\/\/localhost:\d+(?=\n)/.exec(printed) ?? []
      if (found !== undefined) resolve(found)
    })
    child.once('exit', () => reject(new Error(`the example did not start: ${printed}`)))
  })
  return {
    url,
    stop: async () => {
      child.kill()
      await once(child, 'exit')
    },
  }
}
