/** How far an encoded picture is from what it was made of, by the metrics of libjxl's tools. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What an encoded picture lost: 0 is nothing in both, and less is better. */
export interface Score {
  /** SSIMULACRA, the first of the name. */
  readonly ssimulacra: number
  /** Butteraugli, its 3-norm. */
  readonly butteraugli: number
  /** 100 less SSIMULACRA 2, where a tool for it is installed: later releases of libjxl have one. */
  readonly ssimulacra2?: number
}

/** Two PNG files of one size. */
export interface Pair {
  readonly reference: string
  readonly candidate: string
}

/** The machines that the benches run on have two cores. */
const AT_ONCE = 2

/** Fails where the tools are missing, with how to get them. */
export async function needScoringTools(): Promise<void> {
  for (const tool of ['ssimulacra_main', 'butteraugli_main']) {
    if (!(await isInstalled(tool)))
      throw new Error(`the bench of quality needs ${tool}: apt-get install libjxl-devtools`)
  }
}

/** Without files each of the tools prints its usage and fails. */
async function isInstalled(tool: string): Promise<boolean> {
  const reason = await run(tool).catch((error: NodeJS.ErrnoException) => error)
  return !('code' in reason && reason.code === 'ENOENT')
}

async function score({ reference, candidate }: Pair, hasSecond: boolean): Promise<Score> {
  const output = async (tool: string) => (await run(tool, [reference, candidate])).stdout
  const ssimulacra = Number((await output('ssimulacra_main')).trim() || Number.NaN)
  const butteraugli = Number(/3-norm: ([\d.]+)/.exec(await output('butteraugli_main'))?.[1])
  const second = hasSecond ? 100 - Number((await output('ssimulacra2')).trim() || Number.NaN) : undefined
  for (const value of [ssimulacra, butteraugli, second ?? 0])
    if (!Number.isFinite(value)) throw new Error(`${candidate} has no score beside ${reference}`)
  return { ssimulacra, butteraugli, ...(second === undefined ? {} : { ssimulacra2: second }) }
}

/** The scores of pairs in their order; two at most are compared at a time. */
export async function scores(pairs: readonly Pair[]): Promise<readonly Score[]> {
  const hasSecond = await isInstalled('ssimulacra2')
  const found: Score[] = []
  const left = pairs.entries()
  const worker = async (): Promise<void> => {
    for (const [index, pair] of left) found[index] = await score(pair, hasSecond)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return found
}
