/** Processes that are measured: their start, families, CPU and memory, by `/proc` (Linux alone). */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** What `/proc` counts CPU in, ms. */
const TICK_MS = 10

const statOf = (pid: number): readonly string[] => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

/** A process and all below it. */
export function family(pid: number): readonly number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [[Number(name), Number(statOf(Number(name))[1])] as const]
      } catch {
        // It has ended.
        return []
      }
    })
  const below = (of: number): readonly number[] => [
    of,
    ...parents.filter(([, parent]) => parent === of).flatMap(([child]) => below(child)),
  ]
  return below(pid)
}

/** CPU of a process so far, ms (fields 14 and 15). */
export function cpuMs(pid: number): number {
  const fields = statOf(pid)
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

/** CPU so far of a process, and of all below it, those that have ended included (fields 16 and 17), ms. */
export function familyCpu(pid: number): { readonly own: number; readonly below: number } {
  const [own = 0, ...others] = family(pid).map((one) => cpuMs(one))
  const fields = statOf(pid)
  const ended = (Number(fields[13]) + Number(fields[14])) * TICK_MS
  return { own, below: others.reduce((sum, ms) => sum + ms, ended) }
}

/** Memory of a process and all below it, MB: what each has, and with what they share counted once. */
export function memory(pid: number): { rss: number; pss: number; processes: number } {
  const sum = { rss: 0, pss: 0, processes: 0 }
  for (const one of family(pid)) {
    const text = readFileSync(`/proc/${one}/smaps_rollup`, 'utf8')
    const read = (name: string): number =>
      Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1]) / 1000
    sum.rss += read('Rss')
    sum.pss += read('Pss')
    sum.processes += 1
  }
  return sum
}

/** Starts a script of Node as in production, and waits for the first line that it prints. */
export async function started(args: readonly string[]): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_ENV: 'production' },
  })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  return { child, line }
}
