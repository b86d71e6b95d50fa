/** Serves an address: the original, a rendition, or the format of an `auto` variant that the client likes best. */

import type { Events } from '../events.js'
import { formatAddress } from '../model/address.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import type { AutoFormats } from './auto-formats.js'
import {
  type ImageResult,
  type KnownOriginal,
  onceStored,
  type RequestOptions,
  withForward,
} from './image.js'
import type { Originals } from './originals.js'
import type { Renditions } from './renditions.js'
import type { Resolved } from './resolve-address.js'

/** What serving works with. */
export interface ServeParts {
  readonly settings: Pick<Settings, 'presets' | 'disk'>
  readonly store: Pick<Store, 'settled' | 'find'>
  readonly events: Pick<Events, 'emit'>
  readonly originals: Originals
  readonly renditions: Renditions
  readonly autoFormats: AutoFormats
}

/** What a request says. */
export interface ServeOptions extends RequestOptions {
  /** `Accept` of the request, for `auto` variants. */
  readonly accept?: string | undefined
}

/** The image of a resolved address, fetched and made where it is not stored. @throws ArtworkError */
export function serve(parts: ServeParts, resolved: Resolved, options: ServeOptions): Promise<ImageResult> {
  return resolved.variant.format === 'auto'
    ? serveAuto(parts, resolved, options)
    : serveOne(parts, resolved, options)
}

async function serveOne(
  parts: ServeParts,
  resolved: Resolved,
  options: RequestOptions,
  given?: KnownOriginal,
): Promise<ImageResult> {
  const image = await obtain(parts, resolved, options, given)
  parts.events.emit('image-served', { from: image.from })
  return image
}

async function obtain(
  parts: ServeParts,
  { address, original, variant, recipe, isUnsigned }: Resolved,
  options: RequestOptions,
  given?: KnownOriginal,
): Promise<ImageResult> {
  const { settings, originals, renditions } = parts
  if (recipe === undefined) {
    const known = given ?? (await originals.obtain(original, options))
    const found = await originals.bytes(original, known, options)
    // What was stored before is in nobody's queue.
    const image = found.from === 'upstream' ? await onceStored(parts, found, options.isBehind) : found
    return { ...image, ...withForward(image.forward ?? known.forward), original: image.entry }
  }
  // A preset says what comes out.
  const passesSvg = !Object.hasOwn(settings.presets, variant.base)
  const asked = { ...options, passesSvg, isUnsigned }
  return renditions.obtain(formatAddress(address), original, recipe, asked, given)
}

/** AVIF, which takes long, is made behind the answer, for the next request. */
async function serveAuto(parts: ServeParts, resolved: Resolved, options: ServeOptions): Promise<ImageResult> {
  const { originals, autoFormats } = parts
  const known = await originals.withTraits(
    resolved.original,
    await originals.obtain(resolved.original, {
      ...options,
      recipe: autoFormats.likelyRecipe(resolved, options.accept),
      isLikely: true,
    }),
    options,
  )
  await autoFormats.prepare(resolved)
  const { resolved: chosen, negotiation, late } = autoFormats.choose(resolved, known.entry, options.accept)
  if (late !== undefined && !known.isTransient)
    void serveOne(parts, late, { onlyIfCached: true, isBackground: true })
      .then((avif) => autoFormats.compare(resolved, known.entry, avif.entry))
      .catch(() => {})
  const image = await serveOne(parts, chosen, options, known)
  return {
    ...image,
    ...withForward(known.forward ?? image.forward),
    negotiation,
    ...(late !== undefined && { isInterim: true }),
  }
}
