/** Reads everything that is stored against its digest. */
import { z } from 'zod'
import type { JobDefinition, JobParts } from './definition.js'

const options = z.strictObject({})

export const verify = {
  summary: 'Read everything against its digest',
  options,
  body: options,
  async run({ images }: Pick<JobParts, 'images'>, _job, { signal, progress }) {
    const total = images.stats().names
    const report = await images.verify({
      signal,
      onProgress: ({ checked }) => progress(Math.min(checked, total), total),
    })
    return report.state === 'stopped' ? { state: 'cancelled' } : { state: 'done', result: report }
  },
} satisfies JobDefinition
