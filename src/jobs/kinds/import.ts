/** Stores pictures that are files already. Not over HTTP: it names a directory of this machine. */
import * as z from 'zod'
import { fieldsOf, type JobDefinition, type JobParts } from './definition.js'

export const importFiles = {
  summary: 'Take pictures in that are files already',
  options: z.strictObject({ directory: z.string().optional(), overwrite: z.boolean().optional() }),
  async run({ maintenance }: Pick<JobParts, 'maintenance'>, job, { signal, progress }) {
    const { directory, overwrite } = fieldsOf(job.payload)
    if (typeof directory !== 'string' || directory === '')
      return { state: 'failed', reason: 'invalid_url', error: 'no directory to import from' }
    const how = { overwrite: overwrite === true, signal, onProgress: progress }
    const result = await maintenance.importFolder(directory, how)
    return signal.aborted ? { state: 'cancelled' } : { state: 'done', result }
  },
} satisfies JobDefinition
