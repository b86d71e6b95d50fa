/** Whether the parts that everything rests on work now: a file is written, a picture is decoded. */
import { asArtworkError } from '../model/failure.js'
import type { Format } from '../model/media-type.js'
import type { Uploads } from '../uploads/uploads.js'
import type { Context } from './context.js'

/** What works. */
export interface Probed {
  readonly keeps: boolean
  /** True where there are no uploads. */
  readonly keepsUploads: boolean
  readonly decodes: boolean
}

/** One white pixel in each format. */
const PIXELS: Readonly<Record<Format, string>> = {
  png: 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAMAAAAoyzS7AAAAA1BMVEX///+nxBvIAAAACXBIWXMAAAPoAAAD6AG1e1JrAAAACklEQVQImWNgAAAAAgAB9HFkpgAAAABJRU5ErkJggg==',
  gif: 'R0lGODlhAQABAIAAAExpcf///yH5BAUAAAAALAAAAAABAAEAAAICTAEAOw==',
  webp: 'UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoBAAEADMDOJaQAA3AA/uuuAAA=',
  jpeg: '/9j/2wBDAP//////////////////////////////////////////////////////////////////////////////////////2wBDAf//////////////////////////////////////////////////////////////////////////////////////wAARCAABAAEDASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAP/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFAEBAAAAAAAAAAAAAAAAAAAAAP/EABQRAQAAAAAAAAAAAAAAAAAAAAD/2gAMAwEAAhEDEQA/AKAA/9k=',
  avif: 'AAAAHGZ0eXBhdmlmAAAAAG1pZjFhdmlmbWlhZgAAANZtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAAA+gABAAAAAAAAABwAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABhdjAxAAAAAA5waXRtAAAAAAABAAAAVmlwcnAAAAA4aXBjbwAAAAxhdjFDgSACAAAAABRpc3BlAAAAAAAAAAEAAAABAAAAEHBpeGkAAAAAAwgICAAAABZpcG1hAAAAAAAAAAEAAQOBAgMAAAAkbWRhdBIACgc4AAaQENBpMg8f8mKE4AAWAACQNY48fWQ=',
}
const ORDER: readonly Format[] = ['png', 'gif', 'webp', 'jpeg', 'avif']
/** Answers stand for this long, ms: who asks often learns nothing more, and costs nothing. */
const STANDS_FOR = 2000
/** A decoder that does nothing else answers within this, ms. */
const ANSWERS_WITHIN = 3000

/** Makes the probe. Asked again within two seconds, it answers the same. */
export function createProbe(
  context: Context,
  hosting: Pick<Uploads, 'canWrite'> | undefined,
): () => Promise<Probed> {
  let before: { readonly at: number; readonly probed: Promise<Probed> } | undefined
  return () => {
    const at = performance.now()
    if (before === undefined || at - before.at >= STANDS_FOR)
      before = { at, probed: tryAll(context, hosting) }
    return before.probed
  }
}

async function tryAll(
  { store, transformer, settings }: Context,
  hosting: Pick<Uploads, 'canWrite'> | undefined,
): Promise<Probed> {
  const format = ORDER.find((one) => settings.transform.formats.includes(one)) ?? 'png'
  const decoded = transformer.inspect(Buffer.from(PIXELS[format], 'base64'), format).then(
    () => true,
    // A decoder that has too much to do is at work.
    (error) => asArtworkError(error).code === 'unavailable',
  )
  // One that has not come to it yet is at work, as long as it is at something.
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(transformer.load().running > 1), ANSWERS_WITHIN)
  })
  const decoding = Promise.race([decoded, late]).finally(() => clearTimeout(timer))
  const [keeps, keepsUploads, decodes] = await Promise.all([
    store.isWritable(),
    hosting === undefined ? true : hosting.canWrite(),
    decoding,
  ])
  return { keeps, keepsUploads, decodes }
}
