/**
 * Pictures that nobody has looked at yet: fetched in the background, with the renditions that pages offer in
 * `srcset`. A page offers those only once they are here, so that it shows everything with the CDN down.
 */
import type { Artwork } from 'express-artwork'
import { type Entity, PICTURED, type Records } from './stage/database.js'

/** See the top of the file. */
export type Warmer = ReturnType<typeof createWarmer>

/** What the warmer works with; `delay` in ms. */
export interface WarmerParts {
  readonly artwork: Artwork
  readonly records: Records
  readonly delay: number
  /** Whether the CDN can be reached now. */
  readonly isUp: () => boolean
}

/** The widths that pages offer of a kind of picture; the app's `widths`, or TMDb's own. */
const OFFERED: Readonly<Record<string, readonly number[]>> = {
  album: [320, 640],
  film_poster: [342, 500],
}
const EVERYTHING = 1000
const TRY_AGAIN = 5000
const ACCEPT = 'image/webp,image/*;q=0.8'

/** Kind, size and id of the original behind a source URL. */
function readUrl(url: string): { kind: string; size: string; id: string } {
  const [, size = '', id = ''] = /\/t\/p\/([a-z0-9]+)\/([^/]+)$/.exec(url) ?? []
  if (id === '') return { kind: 'remote', size: 'original', id: Buffer.from(url).toString('base64url') }
  return { kind: size === 'w1280' ? 'backdrop' : 'poster', size, id }
}

/** The addresses of every original that pages show of a picture: TMDb has one for each size. */
export function originalsOf(url: string): string[] {
  const { kind, size, id } = readUrl(url)
  const sizes = kind === 'poster' ? (OFFERED.film_poster ?? []).map((width) => `w${width}`) : []
  return [...new Set([size, ...sizes])].map((each) => `${kind}/${each}/${id}`)
}

/** Makes the warmer; `warm` or `later` begins. */
export function createWarmer({ artwork, records, delay, isUp }: WarmerParts) {
  const ready = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let round = 0
  let closed = false

  const urlOf = (kind: string, entity: Entity): string => String(entity[PICTURED[kind]?.url ?? ''] ?? '')
  const everything = (): [kind: string, entity: Entity][] =>
    Object.keys(PICTURED).flatMap((kind) =>
      records.page(kind, '', EVERYTHING).map((entity): [string, Entity] => [kind, entity]),
    )
  /** Asks the refresher; one that it has given up on is fetched here. */
  const fetchAll = async (all: readonly [string, Entity][]): Promise<void> => {
    const givenUp = all.filter(([kind, entity]) => {
      const answer = artwork.refresher.enqueue(kind, entity, { priority: 'low' })
      return !answer.accepted && answer.reason === 'recently failed'
    })
    await artwork.refresher.idle()
    for (const [entityType, entity] of givenUp) {
      if (closed || !isUp()) return
      const sourceUrl = urlOf(entityType, entity)
      const request = { sourceUrl, entityType, entityId: entity.id }
      const before = await artwork.images.downloadAndCache(request)
      if (before.status !== 'failed') continue
      // A failure is remembered for a while: force asks all the same.
      if ((await artwork.images.downloadAndCache({ ...request, force: true })).status === 'failed') return
    }
  }
  /** Makes the renditions of a picture; true when all of them are here. */
  const render = async (kind: string, url: string): Promise<boolean> => {
    const { kind: family, id } = readUrl(url)
    try {
      for (const width of OFFERED[kind] ?? [])
        await artwork.images.getImage(`${family}/w${width}-auto/${id}`, { accept: ACCEPT })
      return true
    } catch {
      return false
    }
  }
  const warm = async (): Promise<void> => {
    clearTimeout(timer)
    round += 1
    const mine = round
    const all = everything()
    await fetchAll(all)
    let complete = everything().every(([kind, entity]) => isLocal(kind, entity))
    for (const [kind, entity] of all) {
      if (OFFERED[kind] === undefined) continue
      const url = urlOf(kind, entity)
      const made = await render(kind, url)
      if (closed || mine !== round) return
      if (made) ready.add(url)
      complete &&= made
    }
    if (!complete && !closed && mine === round && isUp()) later(TRY_AGAIN)
  }
  const isLocal = (kind: string, entity: Entity): boolean => {
    const path = String(entity[PICTURED[kind]?.path ?? ''] ?? '')
    const shown = artwork.images.getDisplayUrl(urlOf(kind, entity), path, kind, { requireLocal: true })
    return !shown.includes('placeholder')
  }
  const later = (after = delay): void => {
    clearTimeout(timer)
    timer = setTimeout(() => void warm(), after)
  }

  return {
    /** Begins in a moment: `delay`, unless another time is given. */
    later,
    /** The widths to offer of a picture, '' while they are not all here: what `img` takes as `widths`. */
    widths: (kind: string, url: unknown): readonly number[] | '' =>
      typeof url === 'string' && ready.has(url) ? (OFFERED[kind] ?? '') : '',
    /** After everything was forgotten: begins as at the start. */
    forget: (): void => {
      ready.clear()
      round += 1
      later()
    },
    close: (): void => {
      closed = true
      clearTimeout(timer)
    },
  }
}
