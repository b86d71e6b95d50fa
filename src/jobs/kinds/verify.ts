/** Reads everything that is stored against its digest. */
import * as z from 'zod'
import type { JobDefinition, JobParts } from './definition.js'

const options = z.strictObject({})

export const verify = {
  summary: 'Read everything against its digest',
  options,
  body: options,
  async run({ maintenance, store }: Pick<JobParts, 'maintenance' | 'store'>, _job, { signal, progress }) {
    const total = store.stats().names
    const report = await maintenance.verify({
      signal,
      onProgress: ({ checked }) => progress(Math.min(checked, total), total),
    })
    return report.state === 'stopped' ? { state: 'cancelled' } : { state: 'done', result: report }
  },
} satisfies JobDefinition
