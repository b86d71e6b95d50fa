/** The end of a worker that takes too long, or is not needed any more: SIGKILL, which no decoder can hold up. */
import type { ChildProcess } from 'node:child_process'

/** Kills a worker, with the processes of its sandbox. */
export function killWorker(child: ChildProcess, { sandbox }: { readonly sandbox: readonly string[] }): void {
  try {
    if (sandbox.length > 0 && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has gone, or has a group of its own.
  }
  child.kill('SIGKILL')
}

/** Makes the time limit of a worker: it runs out unless it is set anew or cleared. */
export function createTimeLimit(onTimeout: () => void) {
  let timer: NodeJS.Timeout | undefined
  const clear = (): void => clearTimeout(timer)
  return {
    set: (ms: number): void => {
      clear()
      timer = setTimeout(onTimeout, ms)
    },
    clear,
  }
}
