/** Reads everything that is stored against its digest. */
import { z } from 'zod'
import type { Handler } from '../ports.js'
import type { JobDefinition, JobParts } from './definition.js'

const options = z.strictObject({})

const handler =
  ({ maintenance, store }: Pick<JobParts, 'maintenance' | 'store'>): Handler =>
  async (_job, { signal, progress }) => {
    const total = store.stats().names
    const report = await maintenance.verify({
      signal,
      onProgress: ({ checked }) => progress(Math.min(checked, total), total),
    })
    return report.state === 'stopped' ? { state: 'cancelled' } : { state: 'done', result: report }
  }

export const verify = {
  summary: 'Read everything against its digest',
  options,
  body: options,
  handler,
} satisfies JobDefinition
