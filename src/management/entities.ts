/** Images of entities: what is stored of them, and fetching them anew. */
import type { Images } from '../images/images.js'
import type { Refresher } from '../jobs/refresher.js'
import type { EntityKind } from '../model/entity.js'
import { ArtworkError } from '../model/failure.js'
import type { Job } from '../model/job-queue.js'
import type { EntityLike } from '../model/repository.js'
import { readSubject } from '../model/subject.js'
import { entityImageUrl } from '../model/urls.js'
import type { Settings } from '../options/settings.js'

/** An entity's picture as it stands. */
export interface EntityPicture {
  readonly kind: EntityKind
  readonly id: string
  readonly name: string | null
  /** The local URL, else the source's, else null (PARITY 41). */
  readonly url: string | null
  readonly sourceUrl: string | null
  readonly isCached: boolean
}

/** @throws ArtworkError `unknown_image` (404) */
export const missing = (what: string): never => {
  throw new ArtworkError('unknown_image', `there is no such ${what}`)
}

/** Makes the verbs. @param request queues the download of an entity's image */
export function createEntities(
  { kinds, repository, logger, urls }: Pick<Settings, 'kinds' | 'repository' | 'logger' | 'urls'>,
  images: Pick<Images, 'entityImages'>,
  request: (entity: Parameters<Refresher['request']>[0]) => Promise<Job>,
) {
  const kindNamed = (name: string): EntityKind => {
    const found = [...kinds.values()].find(({ kind, alias }) => kind === name || alias === name)
    return found ?? missing('kind of entity')
  }
  /** The app's record of an entity, and what is stored of its image. */
  const find = async (kind: EntityKind, id: string) => {
    let record: EntityLike | undefined
    let subject = readSubject({ id }, kind.kind, kinds)
    try {
      // What an app answers for "there is none" may be anything that is no record.
      const found: unknown = await repository?.find?.(kind.kind, id)
      if (isRecord(found)) {
        record = found
        subject = readSubject(found, kind.kind, kinds)
      }
    } catch (error) {
      logger.warn({ err: error }, 'artwork: the repository could not be asked')
    }
    const { sourceUrl, params } = subject
    const local = images.entityImages.findEntity(kind, id, params)
    if (record === undefined && local === undefined) return missing(kind.alias ?? kind.kind)
    return { record, sourceUrl, params, local }
  }
  return {
    kindNamed,
    entity: async (kind: EntityKind, id: string): Promise<EntityPicture> => {
      const { record, sourceUrl, local } = await find(kind, id)
      return {
        kind,
        id,
        name: nameIn(record),
        url: local === undefined ? (sourceUrl ?? null) : entityImageUrl(urls, local.path, local.entry.digest),
        sourceUrl: sourceUrl ?? local?.entry.sourceUrl ?? null,
        isCached: local !== undefined,
      }
    },
    /** Fetches an entity's picture anew, before everything else. */
    download: async (kind: EntityKind, id: string): Promise<Job> => {
      const { sourceUrl, params, local } = await find(kind, id)
      const url = sourceUrl ?? local?.entry.sourceUrl
      if (url === undefined)
        throw new ArtworkError('invalid', `the ${kind.alias ?? kind.kind} has no image URL`)
      return request({ sourceUrl: url, entityType: kind.kind, entityId: id, params, force: true })
    },
  }
}

const isRecord = (value: unknown): value is EntityLike =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function nameIn(record: EntityLike | undefined): string | null {
  for (const field of ['username', 'name', 'title', 'display_name']) {
    const value: unknown = record === undefined ? undefined : Reflect.get(record, field)
    if (typeof value === 'string') return value
  }
  return null
}
