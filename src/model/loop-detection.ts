/** `Via` (RFC 9110 §7.6.3): how a toolkit signs what it asks, so that it knows itself when it is asked in a circle. */
import { createHash } from 'node:crypto'

/** The signature of the toolkit whose data is in this place: all its processes have the same. */
export function viaOf(place: string): string {
  return `1.1 express-artwork (${createHash('sha256').update(place).digest('hex').slice(0, 12)})`
}

/** Whether a request went through the toolkit that signs itself so. */
export const isLoop = (header: string | undefined, via: string): boolean => header?.includes(via) === true
