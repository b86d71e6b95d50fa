/** Back-offs: URLs that failed, and are not tried again for a while. */
import type { BackOffs } from '../../model/job-queue.js'
import type { Connection } from './connection.js'

/** See the port. */
export function createBackOffs({ query }: Connection): BackOffs {
  return {
    get: (key) => query((sql) => sql.backOff.get(key), undefined),
    set: (key, backOff) => query((sql) => void sql.setBackOff.run({ key, ...backOff }), undefined),
    clear: (key) => query((sql) => void sql.clearBackOff.run(key), undefined),
    clearAll: () => query((sql) => void sql.clearBackOffs.run(), undefined),
    byKind: () => {
      const rows = query((sql) => sql.backOffsByKind.all(), [])
      return new Map(rows.map(({ kind, count }) => [kind, count]))
    },
    list: (kind, after, limit) => query((sql) => sql.backOffsAfter.all({ kind, after, limit }), []),
  }
}
