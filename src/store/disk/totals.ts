/** Running totals of the catalogue, in a table of their own: SQLite would count its rows one by one. */
import { type Database, immediate, keep } from '../../database/sqlite.js'
import type { ROLES } from '../ports.js'

/** See the top of the file. */
export type Totals = ReturnType<typeof createTotals>

/** Makes the totals of an open catalogue. */
export function createTotals(db: Database) {
  const transaction = immediate(db)
  const sql = keep({
    get: db.prepare<[string], { value: number }>('SELECT value FROM totals WHERE key = ?'),
    add: db.prepare<[string, number]>(`INSERT INTO totals VALUES (?, ?)
      ON CONFLICT (key) DO UPDATE SET value = value + excluded.value`),
    set: db.prepare<[string, number]>('INSERT OR REPLACE INTO totals VALUES (?, ?)'),
    remove: db.prepare<[string]>('DELETE FROM totals WHERE key = ?'),
    ticket: db.prepare<[number], { value: number }>(`INSERT INTO totals VALUES ('generation', ?)
      ON CONFLICT (key) DO UPDATE SET value = max(value + 1, excluded.value) RETURNING value`),
  })
  /** What is so once stays so for as long as this file is open: a lost catalogue is another file. */
  const onceTrue = (look: () => boolean) => {
    let isTrue = false
    return (): boolean => {
      isTrue ||= look()
      return isTrue
    }
  }
  const of = (key: string): number => sql.get.get(key)?.value ?? 0
  const add = (key: string, by: number): void => void sql.add.run(key, by)
  const set = (key: string, value: number): void => void sql.set.run(key, value)
  return {
    of,
    add,
    set,
    /** The number of the next change: follows the clock, so that it goes on rising when the catalogue starts anew. */
    nextTicket: (): number => sql.ticket.get(Date.now())?.value ?? 0,
    all: () => ({
      bytes: of('bytes'),
      names: of('names'),
      indexBytes: of('indexBytes'),
      byRole: {
        original: of('original'),
        rendition: of('rendition'),
        artwork: of('artwork'),
      } satisfies Record<(typeof ROLES)[number], number>,
    }),
    /** Writes something, and takes it back: the log has to take it. @throws what SQLite throws when it cannot */
    probe: transaction((): void => {
      set('probe', 1)
      sql.remove.run('probe')
    }),
    /** Whether the entries of a lost catalogue have all been read back. */
    isComplete: onceTrue(() => of('complete') === 1),
    /** From here on, bytes on disk that were not read back are none of ours. */
    setComplete: transaction((): void => {
      set('unread', 0)
      set('complete', 1)
    }),
    /** Whether it is known how many bytes there are whose entries have not been read back yet. */
    isMeasured: onceTrue(() => sql.get.get('unread') !== undefined),
    setUnread: (bytes: number): void => set('unread', bytes),
    /** How many purges there were, in all processes. */
    generation: (): number => of('purges'),
    advanceGeneration: transaction((): void => add('purges', 1)),
  }
}
