/** A process that works off the jobs of a directory: told the directory, it prints the id of each that it did. */
import { createJobProcessor } from '#src/jobs/sqlite/processor.js'
import { createJobQueue } from '#src/jobs/sqlite/queue.js'

const [directory = '', hang = ''] = process.argv.slice(2)
const logger = { debug() {}, info() {}, warn: console.error, error: console.error }
const jobs = createJobQueue({ directory, now: Date.now, logger })
const workers = createJobProcessor(
  jobs,
  {
    step: async (job) => {
      if (hang === 'hang') await new Promise(() => {})
      process.stdout.write(`${job.id}\n`)
      return { state: 'done' }
    },
  },
  { concurrency: 8, now: Date.now, logger, onEnd: () => {} },
)
workers.start()
process.stdout.write('ready\n')
const look = setInterval(async () => {
  if (jobs.isDue()) return
  clearInterval(look)
  await workers.close()
  jobs.close()
}, 100)
