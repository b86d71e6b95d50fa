/** The packages that only some sources need. */
import type { CID } from 'multiformats/cid'
import { refuseMissing } from '../model/optional-package.js'

// Each import stands in its `try`: bundlers leave it alone there where the package is not installed.

/** What reads CIDs. */
export async function loadCid(usedBy: string): Promise<typeof CID> {
  try {
    return (await import('multiformats/cid')).CID
  } catch (error) {
    return refuseMissing(error, 'multiformats', usedBy)
  }
}

/** What reads DID documents. */
export async function loadIdentity(
  usedBy: string,
): Promise<Pick<typeof import('@atproto/identity'), 'getPds' | 'DidPlcResolver' | 'DidWebResolver'>> {
  try {
    return await import('@atproto/identity')
  } catch (error) {
    return refuseMissing(error, '@atproto/identity', usedBy)
  }
}
