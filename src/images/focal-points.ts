/** Sets what of a picture stays in sight where it is cut to a shape. */
import { type Address, toAddress } from '../model/address.js'
import { ArtworkError } from '../model/failure.js'
import { type FocalPoint, isFocalPoint } from '../model/focal-point.js'
import type { Store } from '../store/ports.js'
import { keysOf } from './kept-point.js'
import type { Originals } from './originals.js'
import type { Regenerate } from './regenerate.js'
import type { Resolver } from './resolve-address.js'

/** What setting works with. */
export interface FocalPointParts {
  readonly store: Pick<Store, 'find' | 'settled' | 'update'>
  readonly resolver: Pick<Resolver, 'resolve'>
  readonly originals: Pick<Originals, 'obtain'>
  readonly regenerate: Pick<Regenerate, 'refocused'>
}

/** Makes what sets a point, or takes it away. @throws TypeError for what is no point; ArtworkError as a fetch does */
export const createFocalPoints =
  ({ store, resolver, originals, regenerate }: FocalPointParts) =>
  async (address: Address | string, point: FocalPoint | undefined): Promise<void> => {
    if (point !== undefined && !isFocalPoint(point))
      throw new TypeError(
        `a focal point must be { x, y } in whole per cent from 0 to 100, got ${JSON.stringify(point)}`,
      )
    const { original } = resolver.resolve(toAddress(address), true)
    const { entry } = await originals.obtain(original)
    await store.settled(entry.key)
    if (store.find(entry.key) === undefined)
      throw new ArtworkError('unavailable', 'nothing can be kept of this image', { retryAfter: 5 })
    for (const key of new Set([entry.key, ...keysOf(original, true)])) {
      const known = store.find(key)
      const focalPoint = point && { x: point.x, y: point.y }
      if (known !== undefined) await regenerate.refocused(store.update(known, { focalPoint }))
    }
  }
