/** Failures that are remembered: of images in the negative cache, of entities in their back-offs. */
import type { Images } from '../images/images.js'
import { artworkPaths } from '../model/artwork-path.js'
import type { EntityKind } from '../model/entity.js'
import { entityImageKey, imageKey } from '../model/entry.js'
import { ArtworkError, isErrorCode } from '../model/failure.js'
import { adviceFor, adviceForReason } from '../model/failure-advice.js'
import type { BackOffs } from '../model/job-queue.js'
import type { Store } from '../store/ports.js'

/** A failure that is remembered, of a picture or of an entity. Times in ms since the epoch. */
export interface KnownFailure {
  /** Whether it is a picture, or an entity's. */
  readonly of: 'image' | 'entity'
  /** Name of the picture, or `kind:id` of the entity. */
  readonly name: string
  /** Why, from the table of reasons. */
  readonly reason: string
  /** The same in words, where there are any. */
  readonly message: string | undefined
  /** What to do, with the option that mends it. */
  readonly mend: string | undefined
  /** When it failed. */
  readonly at: number | undefined
  /** When it is tried again. */
  readonly nextTry: number
  /** How often in a row it has failed. */
  readonly times: number
  /** The source URL, where it is known. */
  readonly url: string | undefined
}

/** Failing entities that are compared with the failing pictures of a page. */
const MOST_COMPARED = 2000

/** What the list is made from. */
export interface FailureListParts {
  readonly images: Pick<Images, 'resolver'>
  readonly backOffs: Pick<BackOffs, 'list'>
  readonly store: Pick<Store, 'negativeCache'>
  kindNamed(name: string): EntityKind
}

/**
 * Makes the function that lists a page, images first. `after` is `next` of the page before; `isMerged` leaves out an
 * image whose entity is listed.
 */
export function createFailureList({ images, backOffs, store, kindNamed }: FailureListParts) {
  /** Names of the pictures of entities that could not be fetched: a failure is listed once, with its entity. */
  const picturesOfEntities = (): ReadonlySet<string> => {
    const names = new Set<string>()
    const add = (name: () => string | readonly string[]): void => {
      try {
        for (const one of [name()].flat()) names.add(one)
      } catch {
        // A URL that no source takes any more, or an id that needs more for its path.
      }
    }
    for (const { key, url } of backOffs.list('', '', MOST_COMPARED)) {
      const [kind = '', ...id] = key.split(':')
      add(() => imageKey(images.resolver.resolveUrl(url).text))
      add(() => artworkPaths(kindNamed(kind), id.join(':')).map(entityImageKey))
    }
    return names
  }

  return (
    after: string,
    limit: number,
    isMerged = false,
  ): { failures: readonly KnownFailure[]; next: string | undefined } => {
    const [part = 'image', ...rest] = after.split(' ')
    const from = rest.join(' ')
    const listed = part === 'entity' ? [] : store.negativeCache.list(from, limit)
    const known = listed.length === 0 || !isMerged ? new Set<string>() : picturesOfEntities()
    const ofImages = listed
      .filter(({ name }) => !known.has(name))
      .map(
        ({ name, code, message, at, until, count }): KnownFailure => ({
          of: 'image',
          name,
          reason: reasonOf(code),
          message,
          mend: adviceFor({ code, message })?.mend,
          at,
          nextTry: until,
          times: count,
          url: undefined,
        }),
      )
    const lastListed = listed.at(-1)
    if (lastListed !== undefined && listed.length === limit)
      return { failures: ofImages, next: `image ${lastListed.name}` }
    const left = limit - ofImages.length
    const ofEntities = backOffs.list('', part === 'entity' ? from : '', left).map(
      ({ key, url, until, times, reason }): KnownFailure => ({
        of: 'entity',
        name: key,
        reason,
        message: undefined,
        mend: adviceForReason(reason),
        at: undefined,
        nextTry: until,
        times,
        url,
      }),
    )
    const last = ofEntities.at(-1)
    return {
      failures: [...ofImages, ...ofEntities],
      next: ofEntities.length < left || last === undefined ? undefined : `entity ${last.name}`,
    }
  }
}

/** The reason of a remembered failure, in the words of the table of errors. */
const reasonOf = (code: string): string => (isErrorCode(code) ? new ArtworkError(code, '').reason : 'unknown')
