/** A Redis for the tests of one node over what nodes share: its queue of jobs is in it. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { freePort } from '../support/child-process.js'
import { isOpen } from '../support/ports.js'

/** Starts it before the tests. Answers what ends it. */
export default async function setUp(): Promise<() => Promise<void>> {
  const port = await freePort()
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], {
    stdio: 'ignore',
  })
  const failed = once(child, 'error').then(() => {
    throw new Error('redis-server is not installed: apt-get install -y redis-server')
  })
  await Promise.race([failed, until(port)])
  process.env.SHARED_JOBS = `redis://127.0.0.1:${port}`
  return async () => {
    child.kill()
    if (child.exitCode === null) await once(child, 'exit')
  }
}

async function until(port: number): Promise<void> {
  while (!(await isOpen(port))) await new Promise((resolve) => setTimeout(resolve, 50))
}
