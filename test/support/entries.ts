/** Entries for tests of the store. */
import type { NewEntry } from '#src/store/ports.js'

/** Makes entries that are dated by a clock. */
export const entriesBy =
  (clock: { readonly now: number }) =>
  (name: string, changes: Partial<NewEntry> = {}): NewEntry => ({
    key: name,
    role: 'original',
    type: 'image/png',
    width: 1,
    height: 1,
    storedAt: clock.now,
    validatedAt: clock.now,
    freshnessLifetime: 1000,
    ...changes,
  })
