/** Packages that only some sources need: they are loaded when such a source is used, and an app installs them itself. */
import type { CID } from 'multiformats/cid'

/** @throws Error with what mends it where the package is not installed; else what was thrown */
function refuse(thrown: unknown, name: string, usedBy: string): never {
  const isMissing = thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_MODULE_NOT_FOUND'
  if (!isMissing) throw thrown
  throw new Error(`${usedBy} needs the package ${name}, which is not installed: npm install ${name}`, {
    cause: thrown,
  })
}

// Each import stands in its `try`: bundlers leave it alone there where the package is not installed.

/** What reads CIDs. */
export async function loadCid(usedBy: string): Promise<typeof CID> {
  try {
    return (await import('multiformats/cid')).CID
  } catch (error) {
    return refuse(error, 'multiformats', usedBy)
  }
}

/** What reads DID documents. */
export async function loadIdentity(
  usedBy: string,
): Promise<Pick<typeof import('@atproto/identity'), 'getPds' | 'DidPlcResolver' | 'DidWebResolver'>> {
  try {
    return await import('@atproto/identity')
  } catch (error) {
    return refuse(error, '@atproto/identity', usedBy)
  }
}
