/** Waits for what comes by and by: however busy the machine is, it is looked at again until it holds. */
import { vi } from 'vitest'

/** Resolves when `holds` throws no more. @throws what it threw last, after 20 s */
export const eventually = <T>(holds: () => T | Promise<T>): Promise<T> =>
  vi.waitFor(holds, { timeout: 20_000, interval: 20 })
