/** The queue of jobs over BullMQ and a real Redis. */
import { bullmq } from 'express-artwork'
import { beforeAll } from 'vitest'
import { createJobQueue } from '#src/jobs/sqlite/queue.js'
import { jobBackendContract } from '../contracts/job-backend.js'
import { mergeUrls } from '../contracts/job-queue.js'
import { atEnd, quietLogger, temporaryFolder } from '../support/toolkit.js'
import { type Engine, startRedis } from './engines.js'

let server: Engine & { readonly url: string }
beforeAll(async () => {
  server = await startRedis()
})
let sites = 0

jobBackendContract('over BullMQ', async () => {
  sites += 1
  const source = bullmq({ url: server.url, prefix: `site-${sites}:`, timeout: 10_000 })
  return {
    open: async () => {
      const shared = { merge: mergeUrls, now: Date.now, logger: quietLogger() }
      const local = createJobQueue({ directory: await temporaryFolder(), ...shared })
      const queue = await source.open({ local, ...shared })
      atEnd(async () => queue.close())
      return queue
    },
  }
})
