/** Going through the app's entities, for the kinds that need a repository. */
import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import * as z from 'zod'
import { ArtworkError } from '../../model/failure.js'
import { entitiesIn, WrongShape } from '../../model/repository.js'
import type { Settings } from '../../options/settings.js'
import { fieldsOf, textsOf } from './definition.js'

const BATCH = 200

/** The option that names kinds of entity. */
export const entityKinds = z.array(z.string()).optional().describe('Kinds of entity; left out: all.')

/** The kinds of entity that a payload names, or all. @throws ArtworkError `invalid` */
export function kindsIn(payload: unknown, { kinds }: Pick<Settings, 'kinds'>): readonly string[] {
  const named = textsOf(fieldsOf(payload).kinds) ?? [...kinds.keys()]
  const unknown = named.filter((kind) => !kinds.has(kind))
  if (unknown.length > 0)
    throw new ArtworkError(
      'invalid',
      `no kinds of entity: ${unknown.join(', ')}; there are ${[...kinds.keys()].join(', ')}`,
    )
  return named
}

/** The entities of a kind, in batches. @throws ArtworkError `unavailable` */
export async function* entityBatches(
  kind: string,
  { repository, logger }: Pick<Settings, 'repository' | 'logger'>,
): AsyncGenerator<readonly unknown[]> {
  try {
    for await (const batch of entitiesIn(repository, kind, BATCH)) {
      yield batch
      await yieldToEventLoop()
    }
  } catch (error) {
    logger.warn({ err: error, kind }, 'artwork: the repository could not be asked')
    if (error instanceof ArtworkError) throw error
    // The wrong shape is for its author to read; what the repository throws is for the log alone.
    const why = error instanceof WrongShape ? `: ${error.message}` : ''
    throw new ArtworkError('unavailable', `the repository could not list ${kind}${why}`, { cause: error })
  }
}
