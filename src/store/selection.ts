/** Which entries a selection has, for stores that look through what they hold themselves. */
import type { Entry } from '../model/entry.js'
import type { Selection } from './ports.js'

/** The entries of a selection among these, in the order of their keys, as many as it asks for. */
export const selectFrom = (
  all: readonly Entry[],
  { role, original, notMadeFrom, ownerKind, after, limit }: Selection,
): readonly Entry[] =>
  all
    .filter(
      (entry) =>
        (role === undefined || entry.role === role) &&
        (original === undefined || entry.original === original) &&
        (notMadeFrom === undefined || entry.madeFrom !== notMadeFrom) &&
        (ownerKind === undefined || entry.ownerKind === ownerKind) &&
        (after === undefined || entry.key > after),
    )
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .slice(0, limit)
