/** Waiting for another change or process, a little longer each time. */
import { setTimeout as sleep } from 'node:timers/promises'

const LONGEST_PAUSE = 50
const PATIENCE = 20_000

/** Waits until `attempt` answers something. @throws Error when it never does, within ms */
export async function retryBusy<T>(
  what: string,
  attempt: (turn: number) => Promise<T | undefined> | T | undefined,
  patience = PATIENCE,
): Promise<T> {
  let waited = 0
  for (let turn = 0; waited < patience; turn += 1) {
    const answer = await attempt(turn)
    if (answer !== undefined) return answer
    const pause = Math.min(2 + turn, LONGEST_PAUSE)
    await sleep(pause)
    waited += pause
  }
  throw new Error(`${what}: waited too long`)
}
