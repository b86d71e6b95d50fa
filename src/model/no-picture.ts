/**
 * Pictures that stand for none at a provider: its grey star, its silhouette. They are listed by the digest of their bytes, or
 * by a ThumbHash, which finds the same picture however it was encoded.
 */

/** Says whether a picture is one of those. */
export type NoPicture = (picture: {
  /** SHA-256, hex. */
  readonly digest: string
  /** Base64. */
  readonly thumbhash?: string | undefined
}) => boolean

/** How a picture is listed. */
export const NO_PICTURE = /^(?:[0-9a-f]{64}|[A-Za-z0-9+/]{8,60}={0,2})$/
const DIGEST = /^[0-9a-f]{64}$/

/** Steps of 63 by which the mean lightness and colours may differ, and steps of 15 by which all else may, in the mean. */
const MAX_MEAN_STEPS = 2
const MAX_DETAIL_STEPS = 0.75

/** Reads the list. */
export function readNoPicture(list: readonly string[]): NoPicture {
  const digests = new Set(list.filter((one) => DIGEST.test(one)))
  const hashes = list.filter((one) => !DIGEST.test(one)).map((one) => Buffer.from(one, 'base64'))
  return ({ digest, thumbhash }) => {
    if (digests.has(digest)) return true
    if (thumbhash === undefined || hashes.length === 0) return false
    const hash = Buffer.from(thumbhash, 'base64')
    return hashes.some((one) => areAlike(one, hash))
  }
}

/** Whether two ThumbHashes are of one picture: the same layout, and nearly the same numbers in it. */
function areAlike(one: Buffer, other: Buffer): boolean {
  if (one.length !== other.length || one.length < 5) return false
  const [means, otherMeans] = [one.readUIntLE(0, 3), other.readUIntLE(0, 3)]
  for (const shift of [0, 6, 12])
    if (Math.abs(((means >> shift) & 63) - ((otherMeans >> shift) & 63)) > MAX_MEAN_STEPS) return false
  // Whether it is transparent, how many numbers there are, and which way it lies.
  const layout = (hash: Buffer): number => (hash.readUInt8(2) >> 7) | ((hash.readUInt16LE(3) & 0x8007) << 1)
  if (layout(one) !== layout(other)) return false
  let steps = 0
  for (let at = 5; at < one.length; at += 1) {
    const [a = 0, b = 0] = [one[at], other[at]]
    steps += Math.abs((a >> 4) - (b >> 4)) + Math.abs((a & 15) - (b & 15))
  }
  return steps <= MAX_DETAIL_STEPS * 2 * (one.length - 5)
}
