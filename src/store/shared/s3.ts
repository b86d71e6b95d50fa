/** Objects in a bucket of S3, or of a store that speaks its protocol (Ceph RADOS Gateway, MinIO, R2, Swift's s3api). */
import { randomUUID } from 'node:crypto'
import type * as Sdk from '@aws-sdk/client-s3'
import { createLimiter, once } from '../../concurrency.js'
import type { ExpiryRule, ObjectStore, ObjectStoreSource, PutOptions } from '../../model/object-store.js'
import { refuseUnknown } from '../../model/option-names.js'
import { refuseMissing } from '../../model/optional-package.js'

/** Where the bucket is, and who we are there. */
export interface S3Options {
  /** The bucket, which is there already. */
  readonly bucket: string
  /** What comes before every key: one for each site that shares the bucket. @default 'express-artwork/' */
  readonly prefix?: string
  /** The URL of the store, where it is not Amazon's. Its buckets are then named in paths. */
  readonly endpoint?: string
  /** @default the environment's (`AWS_REGION`), else 'us-east-1' */
  readonly region?: string
  /** @default what the SDK finds: the environment, a profile, the role of the machine */
  readonly credentials?: {
    readonly accessKeyId: string
    readonly secretAccessKey: string
    readonly sessionToken?: string
  }
  /** How long a request may take, ms. @default 2 s */
  readonly timeout?: number
  /**
   * After how many days rules of the bucket delete what was not written anew, as `express-artwork shared setup` sets them; what is in
   * use is written anew before. @default no rule is counted on
   */
  readonly days?: number
  /** A client of `@aws-sdk/client-s3` of the app's own, in place of endpoint, region and credentials. */
  readonly client?: object
}

const OPTIONS: readonly string[] = [
  'bucket',
  'prefix',
  'endpoint',
  'region',
  'credentials',
  'timeout',
  'days',
  'client',
] satisfies (keyof S3Options)[]
const TIMEOUT = 2000
const CONNECT_TIMEOUT = 1000
const MOST_SOCKETS = 64
/** What one request of S3 may delete. */
const MOST_DELETED = 1000
const DELETED_AT_ONCE = 8
const CACHE_CONTROL = 'private, no-store'

type Client = Pick<Sdk.S3Client, 'send' | 'destroy'>

const statusOf = (error: unknown): number | undefined => {
  const found = error as { readonly $metadata?: { readonly httpStatusCode?: number } } | undefined
  return found?.$metadata?.httpStatusCode
}
const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '')
const isAbsent = (error: unknown): boolean =>
  ['NoSuchKey', 'NotFound'].includes(nameOf(error)) ||
  (statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket')
/** RFC 9110 §15.5.13; 409 where two conditional writes met, 404 where what was to be replaced is gone. */
const isRefused = (error: unknown): boolean =>
  statusOf(error) === 412 || statusOf(error) === 409 || isAbsent(error)

function check(options: S3Options): void {
  const fail = (rule: string): never => {
    throw new TypeError(`s3: ${rule}`)
  }
  if (typeof options !== 'object' || options === null) fail('options must be an object')
  refuseUnknown('s3', options, OPTIONS)
  const { bucket, prefix = '', endpoint, client, days, timeout = TIMEOUT } = options
  if (typeof bucket !== 'string' || bucket === '') fail('bucket must be the name of a bucket')
  if (typeof prefix !== 'string' || prefix.startsWith('/') || !/^[\w!.*'()/-]*$/.test(prefix))
    fail("prefix must be letters, digits and !-_.*'()/, and not begin with /")
  if (endpoint !== undefined && !/^https?:\/\/[^/]/.test(String(endpoint)))
    fail('endpoint must be an http(s) URL')
  if (!Number.isSafeInteger(timeout) || timeout < 1) fail('timeout must be a whole number of ms, 1 or more')
  if (days !== undefined && (!Number.isSafeInteger(days) || days < 2))
    fail('days must be a whole number, 2 or more')
  if (client !== undefined && typeof (client as Client).send !== 'function')
    fail('client must be an S3Client of @aws-sdk/client-s3')
}

/**
 * A bucket that all nodes share: what one has fetched or made, the others read from there.
 * @throws TypeError for a bad option
 */
export function s3(options: S3Options): ObjectStoreSource {
  check(options)
  const { prefix: given = 'express-artwork/' } = options
  const prefix = given === '' || given.endsWith('/') ? given : `${given}/`
  return {
    prefix,
    days: options.days,
    open: async () => {
      const sdk = await import('@aws-sdk/client-s3').catch((error) =>
        refuseMissing(error, '@aws-sdk/client-s3', 's3()'),
      )
      const client = (options.client as Client | undefined) ?? createClient(sdk, options)
      return createS3(sdk, client, prefix, options)
    },
  }
}

function createClient(sdk: typeof Sdk, options: S3Options): Client {
  const { endpoint, credentials, timeout = TIMEOUT } = options
  return new sdk.S3Client({
    region: options.region ?? process.env.AWS_REGION ?? 'us-east-1',
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
    ...(credentials !== undefined && { credentials }),
    // Digests of ours are verified; other stores than Amazon's do not know all of its checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 2,
    requestHandler: {
      connectionTimeout: Math.min(CONNECT_TIMEOUT, timeout),
      requestTimeout: timeout,
      throwOnRequestTimeout: true,
      httpAgent: { keepAlive: true, maxSockets: MOST_SOCKETS },
      httpsAgent: { keepAlive: true, maxSockets: MOST_SOCKETS },
    },
  })
}

function createS3(
  sdk: typeof Sdk,
  client: Client,
  prefix: string,
  { bucket: Bucket, endpoint, client: given, timeout = TIMEOUT }: S3Options,
): ObjectStore {
  const within = () => ({ abortSignal: AbortSignal.timeout(timeout) })
  const orAbsent = async <T>(request: Promise<T>): Promise<T | undefined> => {
    try {
      return await request
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw error
    }
  }
  const head: ObjectStore['head'] = async (Key) => {
    const found = await orAbsent(client.send(new sdk.HeadObjectCommand({ Bucket, Key }), within()))
    return (
      found && {
        metadata: found.Metadata ?? {},
        etag: found.ETag ?? '',
        modifiedAt: found.LastModified?.getTime() ?? 0,
      }
    )
  }
  /** Answers whether it was written; `unknown` where the store does not know conditions. */
  const putIf = async (
    Key: string,
    Body: Buffer,
    { metadata, type }: Omit<PutOptions, 'only'>,
    condition: { readonly IfNoneMatch?: '*'; readonly IfMatch?: string },
  ): Promise<boolean | 'unknown'> => {
    try {
      await client.send(
        new sdk.PutObjectCommand({
          ...{ Bucket, Key, Body, ContentLength: Body.length, CacheControl: CACHE_CONTROL, ...condition },
          ...(metadata && { Metadata: { ...metadata } }),
          ...(type && { ContentType: type }),
        }),
        within(),
      )
      return true
    } catch (error) {
      if (Object.keys(condition).length === 0) throw error
      if (isRefused(error)) return false
      if (statusOf(error) === 501) return 'unknown'
      throw error
    }
  }
  const remove = createRemoval(sdk, client, Bucket, within)
  const conditions = once(() =>
    findConditions({ put: putIf, head, remove }, `${prefix}.probe-${randomUUID()}`),
  )
  const put: ObjectStore['put'] = async (key, bytes, { only, ...options } = {}) => {
    const known = only === undefined ? 'none' : await conditions()
    if (only === undefined || known === 'none') return (await putIf(key, bytes, options, {})) === true
    const IfMatch = only === 'absent' ? undefined : known === 'bare' ? bare(only.etag) : only.etag
    const condition = IfMatch === undefined ? { IfNoneMatch: '*' as const } : { IfMatch }
    return (await putIf(key, bytes, options, condition)) === true
  }
  return {
    name: `s3://${Bucket}${endpoint === undefined ? '' : ` at ${new URL(endpoint).host}`}`,
    get: async (Key) => {
      const signal = within()
      const found = await orAbsent(client.send(new sdk.GetObjectCommand({ Bucket, Key }), signal))
      if (found?.Body === undefined) return undefined
      const bytes = Buffer.from(await found.Body.transformToByteArray())
      return { bytes, metadata: found.Metadata ?? {}, etag: found.ETag ?? '' }
    },
    head,
    put,
    delete: remove,
    list: (prefix, after) => list(sdk, client, { Bucket, Prefix: prefix, StartAfter: after }, within),
    conditional: async () => (await conditions()) !== 'none',
    setExpiry: (rules) => setExpiry(sdk, client, Bucket, rules),
    close: () => {
      if (given === undefined) client.destroy()
    },
  }
}

async function* list(
  sdk: typeof Sdk,
  client: Client,
  query: { readonly Bucket: string; readonly Prefix: string; readonly StartAfter: string | undefined },
  within: () => { readonly abortSignal: AbortSignal },
): ReturnType<ObjectStore['list']> extends AsyncIterable<infer T> ? AsyncGenerator<T> : never {
  let token: string | undefined
  do {
    const page = await client.send(
      new sdk.ListObjectsV2Command({ ...query, ContinuationToken: token }),
      within(),
    )
    for (const { Key, Size = 0, LastModified } of page.Contents ?? [])
      if (Key !== undefined) yield { key: Key, size: Size, modifiedAt: LastModified?.getTime() ?? 0 }
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined
  } while (token !== undefined)
}

/** An entity tag without its quotes (RFC 9110 §8.8.3): Ceph before 17 compares it so. */
const bare = (etag: string): string => etag.replaceAll('"', '')

/** Which conditions the store knows, and in which form it takes entity tags. Found out by writing an object. */
async function findConditions(
  {
    put,
    head,
    remove,
  }: {
    readonly put: (
      key: string,
      bytes: Buffer,
      options: object,
      condition: { readonly IfNoneMatch?: '*'; readonly IfMatch?: string },
    ) => Promise<boolean | 'unknown'>
    readonly head: ObjectStore['head']
    readonly remove: ObjectStore['delete']
  },
  key: string,
): Promise<'quoted' | 'bare' | 'none'> {
  const bytes = Buffer.from('probe')
  const isKept = async (IfMatch: string) => (await put(key, bytes, {}, { IfMatch })) === true
  try {
    await put(key, bytes, {}, {})
    if ((await put(key, bytes, {}, { IfNoneMatch: '*' })) !== false) return 'none'
    if ((await put(key, bytes, {}, { IfMatch: '"another"' })) !== false) return 'none'
    const { etag = '' } = (await head(key)) ?? {}
    if (await isKept(etag)) return 'quoted'
    return (await isKept(bare(etag))) ? 'bare' : 'none'
  } finally {
    await remove([key])
  }
}

/** Deletes many at once; one by one where the store wants a checksum that the SDK does not send any more, as Swift does. */
function createRemoval(
  sdk: typeof Sdk,
  client: Client,
  Bucket: string,
  within: () => { readonly abortSignal: AbortSignal },
): ObjectStore['delete'] {
  const limiter = createLimiter({ capacity: DELETED_AT_ONCE })
  let isOneByOne = false
  const removeOne = (Key: string): Promise<void> =>
    limiter.run(async () => {
      await client.send(new sdk.DeleteObjectCommand({ Bucket, Key }), within()).catch((error) => {
        if (!isAbsent(error)) throw error
      })
    })
  const removeMany = async (keys: readonly string[]): Promise<void> => {
    const Objects = keys.map((Key) => ({ Key }))
    const { Errors = [] } = await client.send(
      new sdk.DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }),
      within(),
    )
    const failed = Errors.find(({ Code }) => Code !== 'NoSuchKey')
    if (failed !== undefined) throw new Error(`${failed.Key} could not be deleted: ${failed.Code}`)
  }
  return async (keys) => {
    for (let at = 0; at < keys.length; at += MOST_DELETED) {
      const some = keys.slice(at, at + MOST_DELETED)
      if (some.length > 1 && !isOneByOne)
        await removeMany(some).catch((error) => {
          if (![400, 501].includes(statusOf(error) ?? 0)) throw error
          isOneByOne = true
        })
      if (some.length === 1 || isOneByOne) await Promise.all(some.map(removeOne))
    }
  }
}

async function setExpiry(
  sdk: typeof Sdk,
  client: Client,
  Bucket: string,
  rules: readonly ExpiryRule[],
): Promise<void> {
  const known = await client
    .send(new sdk.GetBucketLifecycleConfigurationCommand({ Bucket }))
    .catch((error) => {
      if (statusOf(error) === 404) return { Rules: [] }
      throw error
    })
  const ours = rules.map(({ id, prefix, days }): Sdk.LifecycleRule => {
    return { ID: id, Status: 'Enabled', Filter: { Prefix: prefix }, Expiration: { Days: days } }
  })
  const others = (known.Rules ?? []).filter(({ ID }) => !rules.some(({ id }) => id === ID))
  await client.send(
    new sdk.PutBucketLifecycleConfigurationCommand({
      Bucket,
      LifecycleConfiguration: { Rules: [...others, ...ours] },
    }),
  )
}
