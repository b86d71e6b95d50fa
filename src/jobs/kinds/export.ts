/** Writes entities' pictures as named files for media servers, and removes those that are no longer stored. */
import * as z from 'zod'
import { fieldsOf, type JobDefinition, type JobParts } from './definition.js'

const body = z.strictObject({
  overwrite: z.boolean().optional().describe('Replace files of the same name that are not ours.'),
})

export const exportFiles = {
  summary: 'Put pictures where media servers find them',
  options: z.strictObject({ directory: z.string().optional(), ...body.shape }),
  body,
  async run({ settings, exporter }: Pick<JobParts, 'settings' | 'exporter'>, job, { signal, progress }) {
    const { directory = settings.export.directory, overwrite } = fieldsOf(job.payload)
    if (typeof directory !== 'string' || directory === '')
      return {
        state: 'failed',
        reason: 'invalid_url',
        error: 'no directory to export to: set export.directory',
      }
    try {
      const how = { overwrite: overwrite === true, signal, onProgress: progress }
      const report = await exporter.run(directory, how)
      if (!report.complete) return { state: 'cancelled' }
      return report.failed === 0
        ? { state: 'done', result: report }
        : { state: 'failed', reason: 'disk_write', error: 'some files could not be placed', result: report }
    } catch (error) {
      settings.logger.error({ err: error }, 'artwork export: the directory cannot be used')
      return { state: 'failed', reason: 'disk_write', error: 'the export directory cannot be used' }
    }
  },
} satisfies JobDefinition
