/** Checks whether the source URLs of entities still answer with an image. */
import * as z from 'zod'
import { readSubject, type Subject } from '../../model/subject.js'
import type { Settings } from '../../options/settings.js'
import type { JobDefinition, JobParts } from './definition.js'
import { entityBatches, entityKinds, kindsIn } from './entities.js'

const MAX_ENTITIES = 100

const options = z.strictObject({ kinds: entityKinds })

/** What a record says of its picture; nothing where it cannot be read. */
function readable(entity: unknown, kind: string, { kinds }: Pick<Settings, 'kinds'>): Partial<Subject> {
  try {
    return readSubject(entity, kind, kinds)
  } catch {
    return {}
  }
}

export const validate = {
  summary: 'Ask whether source URLs still answer',
  needsRepository: true,
  options,
  body: options,
  async run({ settings, images }: Pick<JobParts, 'settings' | 'images'>, job, { signal, progress }) {
    const count = { valid: 0, invalid: 0 }
    const entities: string[] = []
    for (const kind of kindsIn(job.payload, settings))
      for await (const batch of entityBatches(kind, settings))
        for (const entity of batch) {
          if (signal.aborted) return { state: 'cancelled' }
          const { id, sourceUrl } = readable(entity, kind, settings)
          if (sourceUrl === undefined || id === undefined) continue
          const isValid = await images.validateImage(sourceUrl)
          count[isValid ? 'valid' : 'invalid'] += 1
          if (!isValid && entities.length < MAX_ENTITIES) entities.push(`${kind}/${id}`)
          progress(count.valid + count.invalid, count.valid + count.invalid)
        }
    return { state: 'done', result: { ...count, entities } }
  },
} satisfies JobDefinition
