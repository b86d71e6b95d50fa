/** Signed URLs: which parameters are the signature, and not the picture, by the known signers' own documents. */

/** A signer: what shows that it signed, and all that it adds. Names without regard to case; `*` ends a beginning. */
interface Signer {
  readonly shownBy: readonly string[]
  readonly adds: readonly string[]
}

const SIGNERS: readonly Signer[] = [
  // AWS Signature Version 4, and what follows it (R2, MinIO, Spaces …).
  { shownBy: ['x-amz-signature'], adds: ['x-amz-*'] },
  // Google Cloud Storage V4, and V2.
  { shownBy: ['x-goog-signature'], adds: ['x-goog-*'] },
  { shownBy: ['googleaccessid', 'signature'], adds: ['googleaccessid', 'signature', 'expires'] },
  // Amazon S3 Version 2, and CloudFront.
  {
    shownBy: ['awsaccesskeyid', 'signature'],
    adds: ['awsaccesskeyid', 'signature', 'expires', 'x-amz-security-token'],
  },
  { shownBy: ['key-pair-id', 'signature'], adds: ['key-pair-id', 'signature', 'policy', 'expires'] },
  // Alibaba Cloud OSS.
  {
    shownBy: ['ossaccesskeyid', 'signature'],
    adds: ['ossaccesskeyid', 'signature', 'expires', 'security-token'],
  },
  {
    shownBy: ['x-oss-signature'],
    adds: ['x-oss-signature*', 'x-oss-credential', 'x-oss-date', 'x-oss-expires', 'x-oss-security-token'],
  },
  // Azure Storage: shared access signatures.
  {
    shownBy: ['sig', 'se', 'sv'],
    adds: [
      'sig',
      'se',
      'st',
      'sv',
      'sr',
      'sp',
      'sip',
      'spr',
      'ss',
      'srt',
      'skoid',
      'sktid',
      'skt',
      'ske',
      'sks',
      'skv',
      'sdd',
    ],
  },
  // Discord.
  { shownBy: ['ex', 'is', 'hm'], adds: ['ex', 'is', 'hm'] },
]

const isNamed = (name: string, patterns: readonly string[]): boolean =>
  patterns.some((pattern) =>
    pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  )

/**
 * A URL without its signature: the same for each time that it is signed.
 * @param ignored names of further parameters that say nothing of the picture, in lower case
 */
export function withoutSignature(url: URL, ignored: readonly string[]): string {
  if (url.search === '') return url.href
  const names = new Set([...url.searchParams.keys()].map((name) => name.toLowerCase()))
  const added = [
    ...ignored,
    ...SIGNERS.filter(({ shownBy }) => shownBy.every((name) => names.has(name))).flatMap(({ adds }) => adds),
  ]
  if (![...names].some((name) => isNamed(name, added))) return url.href
  const bare = new URL(url)
  for (const name of [...bare.searchParams.keys()])
    if (isNamed(name.toLowerCase(), added)) bare.searchParams.delete(name)
  return bare.href
}
