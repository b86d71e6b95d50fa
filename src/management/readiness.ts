/** Readiness: whether what everything rests on works now. A file is written, an image is decoded. */
import { asArtworkError } from '../model/failure.js'
import type { Format } from '../model/media-type.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import type { Transformer } from '../transform/transformer.js'

/**
 * `ready`; `degraded`: it answers, and something does not work; `failing`: it cannot do what it is there for; `closing`:
 * another process is to be asked.
 */
export interface Readiness {
  readonly status: 'ready' | 'degraded' | 'failing' | 'closing'
  /** What does not work, in words. */
  readonly reasons: readonly string[]
}

/** What is tried. */
export interface ReadinessParts {
  readonly store: Pick<Store, 'stats' | 'isWritable'>
  readonly transformer: Pick<Transformer, 'inspect' | 'load' | 'trouble'>
  /** Undefined where there are no uploads. */
  readonly uploads: { isWritable(): Promise<boolean> } | undefined
  readonly isClosing: () => boolean
  /** Why this node works without others that it belongs to. */
  readonly clusterTroubles: () => readonly string[]
}

interface Probed {
  readonly isWritable: boolean
  readonly areUploadsWritable: boolean
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
/** Which is decoded: the first that is allowed. */
const ORDER: readonly Format[] = ['png', 'gif', 'webp', 'jpeg', 'avif']
/** An answer is given again for this long, ms: asking often costs nothing. */
const REUSED_FOR_MS = 2000
/** A decoder that does nothing else answers within this, ms. */
const DECODES_WITHIN_MS = 3000

/** Makes the verbs. */
export function createReadiness(settings: Settings, parts: ReadinessParts) {
  const { store, transformer } = parts
  let before: { readonly at: number; readonly probed: Promise<Probed> } | undefined
  const probe = (): Promise<Probed> => {
    const at = performance.now()
    if (before === undefined || at - before.at >= REUSED_FOR_MS)
      before = { at, probed: tryAll(settings, parts) }
    return before.probed
  }
  /** What degrades the toolkit, as far as that is known without trying. */
  const degradedReasons = (): readonly string[] => {
    const { rebuilding, durable, paused } = store.stats()
    return [
      ...(paused === undefined ? [] : [`${paused}: nothing new is kept for a minute`]),
      ...(rebuilding ? ['the catalogue was lost and is being rebuilt'] : []),
      ...(durable ? [] : ['the directory cannot be used: pictures are kept in memory only']),
      ...parts.clusterTroubles(),
    ]
  }
  // A sandbox that does not work is to be known before the first image is asked for.
  if (settings.transform.isolate && settings.transform.sandbox.length > 0) void probe()
  return {
    degradedReasons,
    readiness: async (): Promise<Readiness> => {
      if (parts.isClosing()) return { status: 'closing', reasons: ['shutting down'] }
      const { paused } = store.stats()
      const degraded = degradedReasons()
      const { isWritable, areUploadsWritable, decodes } = await probe()
      const cannotDecode = ['pictures cannot be decoded', transformer.trouble()].filter(Boolean).join(': ')
      const failing = [
        ...(decodes ? [] : [cannotDecode]),
        ...(areUploadsWritable ? [] : ['uploads cannot be kept']),
      ]
      const reasons = [
        ...failing,
        ...(isWritable || paused !== undefined ? [] : ['nothing new can be kept']),
        ...degraded,
      ]
      return {
        status: failing.length > 0 ? 'failing' : reasons.length > 0 ? 'degraded' : 'ready',
        reasons,
      }
    },
  }
}

async function tryAll(settings: Settings, { store, transformer, uploads }: ReadinessParts): Promise<Probed> {
  const [isWritable, areUploadsWritable, decodes] = await Promise.all([
    store.isWritable(),
    uploads?.isWritable() ?? true,
    tryDecoding(settings, transformer),
  ])
  return { isWritable, areUploadsWritable, decodes }
}

async function tryDecoding(settings: Settings, transformer: ReadinessParts['transformer']): Promise<boolean> {
  const format = ORDER.find((one) => settings.transform.formats.includes(one)) ?? 'png'
  const decoded = transformer.inspect(Buffer.from(PIXELS[format], 'base64'), format).then(
    () => true,
    // A decoder that has too much to do works.
    (error) => asArtworkError(error).code === 'unavailable',
  )
  // So does one that has not come to it yet, as long as it is at something.
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(transformer.load().running > 1), DECODES_WITHIN_MS)
  })
  return Promise.race([decoded, late]).finally(() => clearTimeout(timer))
}
