/** Pictures that nobody has looked at yet, fetched in the background, so that pages show everything with the CDN down. */
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

const EVERYTHING = 1000
const TRY_AGAIN = 5000

/** The address of the original behind a source URL. */
export function originalOf(url: string): string {
  const [, size = '', id = ''] = /\/t\/p\/([a-z0-9]+)\/([^/]+)$/.exec(url) ?? []
  if (id === '') return `remote/original/${Buffer.from(url).toString('base64url')}`
  return `${size === 'w1280' ? 'backdrop' : 'poster'}/${size}/${id}`
}

/** Makes the warmer; `later` begins. */
export function createWarmer({ artwork, records, delay, isUp }: WarmerParts) {
  let timer: NodeJS.Timeout | undefined
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
  const isLocal = (kind: string, entity: Entity): boolean => {
    const path = String(entity[PICTURED[kind]?.path ?? ''] ?? '')
    const shown = artwork.images.getDisplayUrl(urlOf(kind, entity), path, kind, { requireLocal: true })
    return !shown.includes('placeholder')
  }
  const warm = async (): Promise<void> => {
    clearTimeout(timer)
    await fetchAll(everything())
    const isComplete = everything().every(([kind, entity]) => isLocal(kind, entity))
    if (!isComplete && !closed && isUp()) later(TRY_AGAIN)
  }
  const later = (after = delay): void => {
    clearTimeout(timer)
    timer = setTimeout(() => void warm(), after)
  }

  return {
    /** Begins in a moment: `delay`, unless another time is given. */
    later,
    close: (): void => {
      closed = true
      clearTimeout(timer)
    },
  }
}
