/** An update of an entry, over what its name stands for. */
import type { Entry } from '../model/entry.js'
import { UPDATABLE } from './ports.js'

/** An entry with the facts of another state of it that an update may change; the other facts are its own. */
export const withFactsOf = <T extends Entry>(entry: T, updated: Entry): T => {
  const facts = Object.fromEntries(UPDATABLE.map((fact) => [fact, updated[fact]]))
  return Object.freeze({ ...entry, ...facts })
}
