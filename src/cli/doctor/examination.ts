/** The child that looks into databases, as the command uses it: one order at a time, each bounded in time. */
import { type ChildProcess, fork } from 'node:child_process'
import { findChildScript } from '../../package-files.js'
import type { Answer, Order, Orders } from './orders.js'

/** Characters of the child's error output that are read. */
const MAX_OUTPUT = 4000

function startChild(): ChildProcess {
  const script = findChildScript('cli/doctor/examiner')
  if (script === undefined) throw new Error('a script of express-artwork is missing: install it anew')
  return fork(script.path, [], {
    execArgv: [...script.execArgv],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
}

/** The line of an error output that says what is wrong. */
const reasonIn = (output: string): string =>
  /^(?:\w*Error\b.*|.*\berror: .*)$/m.exec(output)?.[0] ?? output.trim().split('\n').at(-1) ?? ''

/** See the top of the file. */
export type Examination = ReturnType<typeof createExamination>

/** Makes the examination. Its child is started with the first order, and again where it was lost over one. */
export function createExamination() {
  let child: ChildProcess | undefined
  let output = ''
  const start = (): ChildProcess => {
    output = ''
    const started = startChild()
    started.stderr?.on('data', (piece) => {
      output = `${output}${piece}`.slice(-MAX_OUTPUT)
    })
    return started
  }
  const end = (): void => {
    child?.kill('SIGKILL')
    child = undefined
  }
  const run = (order: Order, ms: number): Promise<Answer> =>
    new Promise((resolve) => {
      child ??= start()
      const current = child
      const settle = (answer: Answer, isLost: boolean): void => {
        clearTimeout(timer)
        current.removeAllListeners('message').removeAllListeners('close').removeAllListeners('error')
        current.on('error', () => {})
        if (isLost) end()
        resolve(answer)
      }
      const timer = setTimeout(
        () => settle({ error: `it took longer than ${Math.round(ms / 1000)} s` }, true),
        ms,
      )
      current.once('message', (answer: Answer) => settle(answer, false))
      // Its output may come later than its end.
      current.once('close', (code, signal) =>
        settle({ error: reasonIn(output) || `the process that looks ended: ${code ?? signal}` }, true),
      )
      current.once('error', (error) => settle({ error: error.message }, true))
      current.send(order, () => {})
    })
  return {
    /** Gives an order. @param ms that it may take @throws Error that says why there is no answer */
    ask: async <K extends keyof Orders>(
      kind: K,
      order: Orders[K]['order'],
      ms: number,
    ): Promise<Orders[K]['answer']> => {
      const answer = await run({ kind, ...order } as Order, ms)
      if ('error' in answer) throw new Error(answer.error)
      return answer.value as Orders[K]['answer']
    },
    close: end,
  }
}
