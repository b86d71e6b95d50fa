/** Last uses of keys, collected in memory and written down together: a hit costs no I/O. */
import type { Connection } from './connection.js'

const FLUSH_AT = 2000

/** See the top of the file. */
export type LastUse = ReturnType<typeof createLastUse>

/** Makes an empty collection. */
export function createLastUse({ orDefault }: Pick<Connection, 'orDefault'>, now: () => number) {
  const uses = new Map<string, number>()
  const flush = (): void => {
    if (uses.size === 0) return
    const batch = [...uses]
    uses.clear()
    orDefault('noting last use', (catalogue) => catalogue.use(batch), undefined)
  }
  return {
    touch: (name: string): void => {
      uses.set(name, now())
      if (uses.size >= FLUSH_AT) flush()
    },
    of: (name: string): number | undefined =>
      uses.get(name) ?? orDefault('look-up', (catalogue) => catalogue.get(name)?.usedAt, undefined),
    forget: (name: string): void => void uses.delete(name),
    clear: (): void => uses.clear(),
    flush,
  }
}
