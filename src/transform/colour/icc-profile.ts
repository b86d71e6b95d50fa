/** What is read of ICC profiles here; the rest is done by libvips, with LittleCMS. */
import { inflateSync } from 'node:zlib'
import { type Curve, power } from './transfer.js'

/** Larger profiles are not read here. */
const MAX_PROFILE = 4 * 1024 * 1024

/** The curve of a grey profile: its `kTRC` (ICC.1 §9.2.32, §10.6, §10.18); undefined where it is none. */
export function greyCurve(profile: Buffer): Curve | undefined {
  if (profile.length < 132 || profile.toString('latin1', 16, 20) !== 'GRAY') return undefined
  const count = Math.min(profile.readUInt32BE(128), 100)
  for (let index = 0; index < count; index += 1) {
    const at = 132 + index * 12
    if (at + 12 > profile.length) return undefined
    if (profile.toString('latin1', at, at + 4) !== 'kTRC') continue
    const start = profile.readUInt32BE(at + 4)
    return readCurve(profile.subarray(start, start + profile.readUInt32BE(at + 8)))
  }
  return undefined
}

function readCurve(tag: Buffer): Curve | undefined {
  const type = tag.toString('latin1', 0, 4)
  if (type === 'curv' && tag.length >= 12) {
    const count = tag.readUInt32BE(8)
    if (count === 0) return (v) => v
    if (tag.length < 12 + count * 2) return undefined
    if (count === 1) return power(tag.readUInt16BE(12) / 256)
    return (v) => {
      const place = v * (count - 1)
      const low = Math.min(Math.floor(place), count - 2)
      const from = tag.readUInt16BE(12 + low * 2)
      const to = tag.readUInt16BE(14 + low * 2)
      return (from + (to - from) * (place - low)) / 65_535
    }
  }
  if (type !== 'para' || tag.length < 16) return undefined
  const kind = tag.readUInt16BE(8)
  const numbers = [1, 3, 4, 5, 7][kind]
  if (numbers === undefined || tag.length < 12 + numbers * 4) return undefined
  const [g = 1, a = 1, b = 0, c = 0, d = 0, e = 0, f = 0] = Array.from(
    { length: numbers },
    (_, index) => tag.readInt32BE(12 + index * 4) / 65_536,
  )
  const steep: Curve = (v) => Math.max(a * v + b, 0) ** g
  if (kind === 0) return power(g)
  if (kind === 1) return (v) => (v >= -b / a ? steep(v) : 0)
  if (kind === 2) return (v) => (v >= -b / a ? steep(v) + c : c)
  if (kind === 3) return (v) => (v >= d ? steep(v) : c * v)
  return (v) => (v >= d ? steep(v) + e : c * v + f)
}

/** A compressed profile; undefined where it is damaged or too large. */
export function inflateProfile(compressed: Uint8Array): Buffer | undefined {
  try {
    return inflateSync(compressed, { maxOutputLength: MAX_PROFILE })
  } catch {
    return undefined
  }
}

/** Whether a profile can be used for pictures of this space (ICC.1 §7.2). */
export const isProfileOf = (profile: Buffer, space: 'RGB ' | 'GRAY'): boolean =>
  profile.length >= 132 &&
  profile.readUInt32BE(0) <= profile.length &&
  profile.toString('latin1', 36, 40) === 'acsp' &&
  profile.toString('latin1', 16, 20) === space
