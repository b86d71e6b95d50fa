/** The embedded queue, as its users see it. */
import { createJobQueue } from '#src/jobs/sqlite/queue.js'
import { jobBackendContract } from '../contracts/job-backend.js'
import { mergeUrls } from '../contracts/job-queue.js'
import { atEnd, quietLogger, temporaryFolder } from '../support/toolkit.js'

jobBackendContract('of a directory', async () => {
  const directory = await temporaryFolder()
  return {
    open: async () => {
      const queue = createJobQueue({ directory, merge: mergeUrls, now: Date.now, logger: quietLogger() })
      atEnd(async () => queue.close())
      return queue
    },
  }
})
