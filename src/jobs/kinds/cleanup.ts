/** Removes what was not used for long, orphans and damaged copies. */
import * as z from 'zod'
import { fieldsOf, type JobDefinition, type JobParts } from './definition.js'

const MAX_NAMES = 200

const options = z.strictObject({
  maxAgeDays: z.number().nonnegative().optional().describe('Days without use. 90 where left out.'),
  dryRun: z.boolean().optional().describe('Remove nothing, and say the same.'),
  force: z
    .boolean()
    .optional()
    .describe('Also the pictures of a kind of which, by the repository, no entity is left.'),
})

export const cleanup = {
  summary: 'Remove what was not used for long, orphans and damaged copies',
  options,
  body: options,
  async run({ maintenance }: Pick<JobParts, 'maintenance'>, job, { signal, progress: onProgress }) {
    const { dryRun, maxAgeDays, force } = fieldsOf(job.payload)
    const going: { readonly name: string; readonly why: string }[] = []
    const onGoing = (name: string, why: string): void => {
      if (going.length < MAX_NAMES) going.push({ name, why })
    }
    const days = typeof maxAgeDays === 'number' ? { maxAgeDays } : {}
    const chosen = { dryRun: dryRun === true, force: force === true, ...days }
    const result = await maintenance.optimizeCache(chosen, { signal, onProgress, onGoing })
    return signal.aborted ? { state: 'cancelled' } : { state: 'done', result: { ...result, going } }
  },
} satisfies JobDefinition
