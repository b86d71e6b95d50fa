/** Storing uploads: one, or several at once, of which all are stored or none. */
import type { Context } from '../images/context.js'
import type { Entry } from '../model/entry.js'
import { looksOf } from '../model/entry.js'
import { NEVER_STALE } from '../model/freshness.js'
import { typeOf } from '../model/media-type.js'
import type { Namespace } from '../sources/uploads.js'
import type { NewEntry } from '../store/ports.js'
import { formatOf, type ProcessParts, processingText, processUpload } from './process-upload.js'
import { type StoredUpload, type Upload, uploadKey } from './upload-entries.js'
import type { NewUpload, UploadStore } from './upload-store.js'

/** What storing works with. */
export interface StoringParts extends Pick<Context, 'settings' | 'store' | 'flights'> {
  readonly uploadStore: Pick<UploadStore, 'idOf' | 'lookup' | 'read' | 'writeAll' | 'confirm'>
  readonly processing: ProcessParts
}

/** An upload that is stored already, or all that storing it takes. */
type Prepared =
  | { readonly stored: StoredUpload }
  | (NewUpload & {
      /** Once it is written. */
      readonly finish: (written: Entry) => StoredUpload
    })

/** Makes it. */
export function createStoring({ settings, store, flights, uploadStore, processing }: StoringParts) {
  const { urls } = settings
  const toStored = ({
    namespace,
    id,
    type,
    width,
    height,
    size,
    storedAt,
    traits,
  }: Upload): StoredUpload => ({
    imageId: id,
    namespace,
    url: `${urls.base}${urls.images}/${namespace}/${id}`,
    contentType: type,
    width,
    height,
    bytes: size,
    storedAt,
    ...looksOf(traits),
  })
  const keyOf = async (namespace: Namespace, bytes: Buffer, box: number) => {
    const format = formatOf(bytes, settings.transform.formats)
    const how = processingText(namespace, box, settings.transform)
    const id = await uploadStore.idOf(namespace.name, how, bytes)
    return { format, id, key: uploadKey(namespace.name, id) }
  }
  /** What bytes are stored as by the rules of a namespace, or the upload that they are already. */
  const prepare = async (
    namespace: Namespace,
    bytes: Buffer,
    box: number,
    { key, id, format }: Awaited<ReturnType<typeof keyOf>>,
  ): Promise<Prepared> => {
    // Not from memory: another process may have removed it just now.
    const before = await uploadStore.lookup(key)
    const content = before && (await uploadStore.read(before))
    if (before !== undefined && content !== undefined) {
      await uploadStore.confirm(before, content.bytes)
      return { stored: toStored({ ...before, namespace: namespace.name, id }) }
    }
    const made = await processUpload(processing, namespace, bytes, format, box)
    const at = settings.now()
    const { width, height, traits } = made
    const facts = { type: typeOf(made.format), width, height, storedAt: at, validatedAt: at }
    const fresh: NewEntry = { key, role: 'original', ...facts, freshnessLifetime: NEVER_STALE }
    const finish = (written: Entry): StoredUpload => {
      const entry = traits === undefined ? written : store.update(written, { traits })
      return toStored({ ...entry, namespace: namespace.name, id })
    }
    return { fresh, bytes: made.bytes, finish }
  }
  /** Stores bytes in a namespace, fitted into a box and encoded anew, or as they came. */
  const storeUpload = async (namespace: Namespace, bytes: Buffer, box: number): Promise<StoredUpload> => {
    const key = await keyOf(namespace, bytes, box)
    return flights.run(`upload ${key.key}`, async () => {
      const prepared = await prepare(namespace, bytes, box, key)
      if ('stored' in prepared) return prepared.stored
      return prepared.finish(await store.write(prepared.fresh, prepared.bytes))
    })
  }
  /** Stores several, all or none: nothing is written before each of them can be. */
  const storeAll = async (namespace: Namespace, all: readonly Buffer[]): Promise<readonly StoredUpload[]> => {
    const begun = await Promise.allSettled(
      all.map(async (bytes) =>
        prepare(namespace, bytes, namespace.fit, await keyOf(namespace, bytes, namespace.fit)),
      ),
    )
    const prepared = begun.map((one) => {
      if (one.status === 'rejected') throw one.reason
      return one.value
    })
    // The same image twice is one.
    const fresh = new Map(prepared.flatMap((one) => ('stored' in one ? [] : [[one.fresh.key, one]])))
    const entries = fresh.size === 0 ? [] : await uploadStore.writeAll([...fresh.values()])
    const written = new Map(entries.map((entry) => [entry.key, entry]))
    return prepared.flatMap((one) => {
      if ('stored' in one) return [one.stored]
      const entry = written.get(one.fresh.key)
      return entry === undefined ? [] : [one.finish(entry)]
    })
  }
  return { storeUpload, storeAll, toStored }
}
