/** A pretend PLC directory and PDS, and pictures named by their CID. */
import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import type { Origin } from './origin.js'

/** An account that the directory knows. */
export const DID = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz'

/** The CID of bytes, as AT Protocol names blobs: CIDv1, raw, SHA-256. */
export const cidOf = (bytes: Uint8Array): string =>
  CID.createV1(0x55, Digest.create(0x12, createHash('sha256').update(bytes).digest())).toString()

/** Where a PDS gives a blob. */
export const blobPath = (did: string, cid: string): string =>
  `/xrpc/com.atproto.sync.getBlob?did=${encodeURIComponent(did)}&cid=${encodeURIComponent(cid)}`

/** The DID document of an account whose PDS is there. */
export const documentOf = (did: string, pds: string): object => ({
  '@context': ['https://www.w3.org/ns/did/v1'],
  id: did,
  alsoKnownAs: ['at://somebody.test'],
  verificationMethod: [],
  service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: pds }],
})

/** Makes the directory know an account. */
export function knowAccount(directory: Origin, did: string, pds: string): void {
  directory.serve(`/${encodeURIComponent(did)}`, {
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(documentOf(did, pds)),
  })
}
