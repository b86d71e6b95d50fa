/** Signed URLs: HMAC-SHA256 over path, version and expiry. */
import { createHmac, timingSafeEqual } from 'node:crypto'

/** A signature as it is written: 32 bytes in base64url, without what base64 lets be written in several ways. */
const SIGNATURE = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

const mac = (key: string, path: string, version: string, expires: string): Buffer =>
  createHmac('sha256', key).update(`${path}\n${version}\n${expires}`).digest()

/** What a signed URL carries besides its path. */
export interface SignedParts {
  /** The path as it stands in the URL, without query: as it was signed, wherever the app is mounted. */
  readonly paths: readonly string[]
  readonly v?: string | undefined
  readonly expires?: string | undefined
  readonly s?: string | undefined
}

/**
 * Signs an image path, so that any variant may be asked for.
 * @param path path as printed, with or without `?v=`: `/images/remote/w320-webp/aHR0…`. An origin before it is left alone
 * @param key secret; one of the `signing.keys` of the app
 * @param options.expires when the URL stops working: a Date, or seconds since the epoch
 * @returns the path with `?s=` (and `expires=`), base64url
 */
export function signAddress(path: string, key: string, options: { expires?: Date | number } = {}): string {
  const [bare = '', query = ''] = path.split('?', 2)
  const params = new URLSearchParams(query)
  params.delete('s')
  if (options.expires !== undefined) {
    const { expires } = options
    params.set(
      'expires',
      String(Math.floor(typeof expires === 'number' ? expires : expires.getTime() / 1000)),
    )
  }
  const signature = mac(
    key,
    bare.replace(/^https?:\/\/[^/]+/i, ''),
    params.get('v') ?? '',
    params.get('expires') ?? '',
  )
  params.set('s', signature.toString('base64url'))
  return `${bare}?${params}`
}

/**
 * When a URL that is printed now stops working, seconds since the epoch: between one and two times so many ms from now, and the
 * same for all that are printed within that time.
 */
export const expiryAt = (now: number, ms: number): number => (Math.floor(now / ms) + 2) * (ms / 1000)

/** Whether one of the keys made the signature and it has not expired. Compared in constant time. */
export function signatureHolds(parts: SignedParts, keys: readonly string[], now: number): boolean {
  const { paths, v = '', expires = '', s = '' } = parts
  if (!SIGNATURE.test(s) || (expires !== '' && !/^\d{1,12}$/.test(expires))) return false
  const given = Buffer.from(s, 'base64url')
  const expired = expires !== '' && Number(expires) * 1000 <= now
  const made = keys.flatMap((key) => paths.map((path) => timingSafeEqual(mac(key, path, v, expires), given)))
  return made.includes(true) && !expired
}
