/** Where an original is fetched: as its source says, and without a network as nearly as that can be said. */
import { USUAL_SIZE } from '../model/fixtures.js'
import { type FetchRequest, isFile } from '../model/location.js'
import type { Settings } from '../options/settings.js'
import type { Means } from '../sources/source.js'
import type { Original } from './resolve-address.js'

/**
 * The request for an original. Without a network nobody can be asked for its URL, and its address is as good.
 * @throws ArtworkError as the source does
 */
export async function locate(
  { settings, means }: { readonly settings: Pick<Settings, 'offline'>; readonly means: Means },
  { source, address, text }: Original,
): Promise<FetchRequest> {
  const ask = async (): Promise<FetchRequest> => {
    const location = await source.locate(address, means)
    if (isFile(location)) throw new TypeError(`${source.name} has files, and must say so with isLocal`)
    return location
  }
  if (settings.offline === false) return ask()
  const width = Number(/^w(\d+)/.exec(address.variant)?.[1] ?? USUAL_SIZE.width)
  const ratio = source.ratioOf?.(address.kind) ?? USUAL_SIZE.width / USUAL_SIZE.height
  const usualSize = { width, height: Math.max(1, Math.round(width / ratio)) }
  return { admits: () => true, url: text, usualSize, ...(await ask().catch(() => undefined)) }
}
