/** Waits for what comes by and by: however busy the machine is, it is looked at again until it holds. */
import { vi } from 'vitest'

/** Resolves when `holds` throws no more. @param timeout ms @throws what it threw last, after that */
export const eventually = <T>(holds: () => T | Promise<T>, timeout = 20_000): Promise<T> =>
  vi.waitFor(holds, { timeout, interval: 20 })
