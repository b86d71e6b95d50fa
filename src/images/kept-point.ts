/** The focal point of a picture: kept with its original, and with each next state of that. */
import { formatAddress } from '../model/address.js'
import { imageKey } from '../model/entry.js'
import type { FocalPoint } from '../model/focal-point.js'
import type { Store } from '../store/ports.js'
import type { Original } from './resolve-address.js'

/** The keys of the same picture in every native size, itself among them. */
export const keysOf = ({ source, address }: Original, anyKind: boolean): readonly string[] =>
  source.originalsOf(address, anyKind).map((one) => imageKey(formatAddress(one)))

/** The point that holds for the next state of an original, asked for when that is written: it may have been set meanwhile. */
export function keptPoint(store: Pick<Store, 'find'>, original: Original): FocalPoint | undefined {
  const own = store.find(imageKey(original.text), 'memory')
  if (own !== undefined) return own.focalPoint
  // A native size that is fetched later is cut as the others.
  return keysOf(original, false)
    .map((key) => store.find(key, 'memory')?.focalPoint)
    .find((point) => point !== undefined)
}
