/** The port of an object store that several nodes share: bytes with small metadata under keys, such as S3 has them. */

/** An object as it was read. */
export interface StoredObject {
  /** All of it. */
  readonly bytes: Buffer
  /** Names in lower case. */
  readonly metadata: Readonly<Record<string, string>>
  /** Opaque: another one for other bytes. */
  readonly etag: string
}

/** An object of a list. */
export interface ListedObject {
  /** The whole of it, prefix included. */
  readonly key: string
  /** Bytes. */
  readonly size: number
  /** By the clock of the store, ms since the epoch. */
  readonly modifiedAt: number
}

/** How an object is written. */
export interface PutOptions {
  /** Names in lower case, values of visible ASCII. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Media type. */
  readonly type?: string
  /**
   * Only where the key has no object, or still the one with this tag. A store that does not know conditions takes no notice:
   * see `conditional`.
   */
  readonly only?:
    | 'absent'
    | {
        /** As `get` and `head` answer it. */
        readonly etag: string
      }
}

/** How long objects below a prefix are kept. */
export interface ExpiryRule {
  /** Another rule of the same id is replaced. */
  readonly id: string
  /** Of the keys that it is about. */
  readonly prefix: string
  /** After so many, objects are deleted. */
  readonly days: number
}

/** See the top of the file. Every verb throws when the store cannot be reached, or does not answer in time. */
export interface ObjectStore {
  /** Where it is, for logs. */
  readonly name: string
  /** The object of a key, undefined where there is none. */
  get(key: string): Promise<StoredObject | undefined>
  /** All but its bytes. */
  head(key: string): Promise<(Omit<StoredObject, 'bytes'> & Pick<ListedObject, 'modifiedAt'>) | undefined>
  /** Answers whether it was written: not where the condition does not hold. */
  put(key: string, bytes: Buffer, options?: PutOptions): Promise<boolean>
  /** Deletes objects; those that are not there are no error. */
  delete(keys: readonly string[]): Promise<void>
  /** All objects below a prefix, in the order of their keys. @param after only keys after this one */
  list(prefix: string, after?: string): AsyncIterable<ListedObject>
  /** Whether it knows the conditions of `put`. */
  conditional(): Promise<boolean>
  /** Sets rules of expiry; those of others stay. @throws Error where the store has none, or does not let us */
  setExpiry(rules: readonly ExpiryRule[]): Promise<void>
  /** Ends its connections. */
  close(): void
}

/** Opens an object store: what `s3()` answers. */
export interface ObjectStoreSource {
  /** What comes before every key of ours. */
  readonly prefix: string
  /** After how many days the store's own rules delete what is below `{prefix}cache/`; undefined where they do not. */
  readonly days?: number | undefined
  /** Opens it: no request is made before the first verb. @throws Error without the package that it needs */
  open(): Promise<ObjectStore>
}
