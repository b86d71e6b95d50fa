/** Long jobs: sync, refresh, validate, warm, clean-up, verify, export, import. Each is stopped by its signal, and harmless to repeat. */
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises'
import type { Images } from '../images/images.js'
import type { Exporter } from '../library/export.js'
import { freshnessOf } from '../model/freshness.js'
import { ArtworkError, asArtworkError } from '../model/failure.js'
import { entitiesIn, WrongShape } from '../model/repository.js'
import { readSubject, type Subject } from '../model/subject.js'
import { isWebUrl } from '../model/web-url.js'
import type { Settings } from '../options/settings.js'
import type { Store, StoreStats, VerifyOptions, VerifyReport } from '../store/ports.js'
import type { ImportOptions, ImportReport } from '../library/import.js'
import type { OptimizeOptions, OptimizeResult, OptimizeWatch } from './cleanup.js'
import type { Job, NewJob } from './ports.js'
import { downloadKey, type Refresher } from './refresher.js'
import type { Handler, JobContext } from './sqlite/processor.js'
import type { JobQueue } from './sqlite/queue.js'

/** What long jobs do that code can do too. */
export interface JobVerbs {
  optimizeCache(options?: OptimizeOptions, watch?: OptimizeWatch): Promise<OptimizeResult>
  importFolder(folder: string, options?: ImportOptions): Promise<ImportReport>
  verify(options?: VerifyOptions): Promise<VerifyReport>
  stats(): StoreStats
}

/** What the long jobs work with. */
export interface KindsContext {
  readonly settings: Settings
  readonly store: Pick<Store, 'select' | 'lastUsed' | 'find'>
  readonly images: Images
  readonly verbs: JobVerbs
  readonly jobs: JobQueue
  readonly exporter: Pick<Exporter, 'run'>
  /** The queue itself, which is made after these. */
  refresher(): Pick<Refresher, 'prepare' | 'isResting'>
}

const PAGE = 200
/** So many names are told of in what came of a job. */
const MOST_TOLD = 200
const LOOK_EVERY = 200

const listOf = (value: unknown): readonly string[] | undefined =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'string') : undefined
const fieldsOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? { ...value } : {}

/** Makes the long jobs. */
export function createKinds({
  settings,
  store,
  images,
  verbs,
  jobs,
  exporter,
  refresher,
}: KindsContext): Readonly<Record<string, Handler>> {
  const { repository, kinds, now } = settings

  /** The entities of a kind, some at a time; the process breathes in between. @throws ArtworkError `unavailable` */
  async function* entitiesOf(kind: string): AsyncGenerator<readonly unknown[]> {
    try {
      for await (const some of entitiesIn(repository, kind, PAGE)) {
        yield some
        await breathe()
      }
    } catch (error) {
      settings.logger.warn({ err: error, kind }, 'artwork: the repository could not be asked')
      if (error instanceof ArtworkError) throw error
      // What is wrong with its shape is for who wrote it; what it throws is for the log alone.
      const why = error instanceof WrongShape ? `: ${error.message}` : ''
      throw new ArtworkError('unavailable', `the repository could not list ${kind}${why}`, { cause: error })
    }
  }
  const kindsIn = (payload: unknown): readonly string[] => {
    const named = listOf(fieldsOf(payload).kinds) ?? [...kinds.keys()]
    const unknown = named.filter((kind) => !kinds.has(kind))
    if (unknown.length > 0) throw new ArtworkError('invalid', `no kinds of entity: ${unknown.join(', ')}`)
    return named
  }
  /** Queues the pictures of some entities that are missing, changed, or failed and due. */
  const queueSome = async (kind: string, entities: readonly unknown[], force: boolean, job: Job) => {
    /** Whether an original was asked about for this very job, by a process that was at it before. */
    const isAsked = (name: string | undefined): boolean =>
      job.attempts > 1 && name !== undefined && (store.find(name)?.validatedAt ?? 0) >= job.createdAt
    const wanted: NewJob[] = []
    const isNeeded = new Map<string, () => boolean>()
    const count = { seen: 0, unreadable: 0 }
    for (const entity of entities)
      try {
        const { id, sourceUrl, params, kind: known, lacksPath } = readSubject(entity, kind, kinds)
        if (id === undefined || sourceUrl === undefined || known === undefined) continue
        count.seen += 1
        const local = images.entityImages.findEntity(known, id, params)
        // What we print ourselves needs no fetching.
        if (images.display.isOwn(sourceUrl)) continue
        const isCurrent = local !== undefined && images.download.isOf(local.entry, sourceUrl)
        // The record missed it: it could not be written when the picture came.
        if (!force && isCurrent && lacksPath) await images.download.tellRecord(local)
        if (force && isCurrent && isAsked(local?.entry.original)) continue
        if (!force && (isCurrent || refresher().isResting(downloadKey(kind, id), sourceUrl))) continue
        const request = { sourceUrl, entityType: kind, entityId: id, params, force }
        const task = refresher().prepare(request, 'low', job.id)
        wanted.push(task)
        isNeeded.set(task.key, () => {
          const now = images.entityImages.findEntity(known, id, params)
          return force || now === undefined || !images.download.isOf(now.entry, sourceUrl)
        })
      } catch (error) {
        // One record that cannot be read is no reason to leave the others.
        count.unreadable += 1
        settings.logger.debug({ err: error, kind }, 'artwork: an entity could not be read')
      }
    const queued = jobs.addMany(wanted, ({ key }) => isNeeded.get(key)?.() !== false)
    if (queued === undefined) throw new ArtworkError('unavailable', 'the queue could not be written')
    return { ...count, queued }
  }
  /** Waits until what a job asked for has been done, by whomever. */
  const settled = async (job: Job, total: number, { signal, progress }: JobContext) => {
    for (;;) {
      const { done, failed, cancelled, queued, running } = jobs.children(job.id)
      progress(done + failed + cancelled, total)
      if (queued + running === 0 || signal.aborted) return { done, failed, cancelled }
      await pause(LOOK_EVERY, signal)
    }
  }
  const sync: Handler = async (job, tools) => {
    const payload = fieldsOf(job.payload)
    // A process may have died at this very job: what it asked for has been asked for.
    const before = Object.values(jobs.children(job.id)).reduce((all, count) => all + count, 0)
    const sum = { seen: 0, unreadable: 0, queued: before }
    for (const kind of kindsIn(payload))
      for await (const some of entitiesOf(kind)) {
        if (tools.signal.aborted) return { state: 'cancelled' }
        const found = await queueSome(kind, some, payload.force === true, job)
        sum.seen += found.seen
        sum.unreadable += found.unreadable
        sum.queued += found.queued
      }
    const outcome = await settled(job, sum.queued, tools)
    if (tools.signal.aborted) return { state: 'cancelled' }
    const { unreadable, ...rest } = sum
    const errors = Object.fromEntries(
      jobs
        .list({ parent: job.id, state: 'failed', limit: 100 })
        .map(({ key, reason }) => [key, reason ?? 'unknown']),
    )
    const told = { ...(unreadable > 0 && { unreadable }), ...(outcome.failed > 0 && { errors }) }
    return { state: 'done', result: { ...rest, ...outcome, ...told } }
  }

  /** Every original, page by page, with how many there are. */
  async function* originals(tools: JobContext) {
    const total = verbs.stats().byRole.original
    let done = 0
    for (let after = ''; ; ) {
      const page = store.select({ role: 'original', after, limit: PAGE })
      for (const entry of page) {
        done += 1
        tools.progress(Math.min(done, total), total)
        if (tools.signal.aborted) return
        yield entry
      }
      const last = page.at(-1)
      if (last === undefined || page.length < PAGE) return
      after = last.key
      await breathe()
    }
  }
  /** Asks about originals that have aged, those first that are used most lately; so many a minute. */
  const refresh: Handler = async (job, tools) => {
    const perMinute = Number(fieldsOf(job.payload).perMinute ?? 600)
    const due: { readonly name: string; readonly usedAt: number }[] = []
    for await (const entry of originals({ ...tools, progress: () => {} }))
      if (freshnessOf(entry, settings.freshness, now()) !== 'fresh')
        due.push({ name: entry.key, usedAt: store.lastUsed(entry.key) ?? 0 })
    due.sort((a, b) => b.usedAt - a.usedAt)
    const count = { changed: 0, unchanged: 0, failed: 0 }
    for (const [index, { name }] of due.entries()) {
      if (tools.signal.aborted) return { state: 'cancelled' }
      try {
        const { changed } = await images.refresh(name.slice('images/'.length))
        count[changed ? 'changed' : 'unchanged'] += 1
      } catch (error) {
        count.failed += 1
        settings.logger.info({ err: error, image: name }, 'artwork: refreshing failed')
      }
      tools.progress(index + 1, due.length)
      await pause(60_000 / Math.max(1, perMinute), tools.signal)
    }
    return { state: 'done', result: count }
  }
  /** What a record says of its picture; nothing, where it cannot be read. */
  const readable = (entity: unknown, kind: string): Partial<Subject> => {
    try {
      return readSubject(entity, kind, kinds)
    } catch {
      return {}
    }
  }
  /** Asks whether the source URLs of entities still answer with an image. */
  const validate: Handler = async (job, tools) => {
    const count = { valid: 0, invalid: 0 }
    const invalid: string[] = []
    for (const kind of kindsIn(job.payload))
      for await (const some of entitiesOf(kind))
        for (const entity of some) {
          if (tools.signal.aborted) return { state: 'cancelled' }
          const { id, sourceUrl } = readable(entity, kind)
          if (sourceUrl === undefined || id === undefined) continue
          const isValid = await images.validateImage(sourceUrl)
          count[isValid ? 'valid' : 'invalid'] += 1
          if (!isValid && invalid.length < 100) invalid.push(`${kind}/${id}`)
          tools.progress(count.valid + count.invalid, count.valid + count.invalid)
        }
    return { state: 'done', result: { ...count, entities: invalid } }
  }
  /** Makes variants of addresses, so that the first who asks waits for nothing. */
  const warm: Handler = async (job, tools) => {
    const payload = fieldsOf(job.payload)
    const addresses = listOf(payload.addresses) ?? []
    const variants = listOf(payload.variants) ?? []
    const total = addresses.length * Math.max(1, variants.length)
    /** An address without its variant, or the source URL of one. */
    const partsOf = (address: string): readonly string[] => {
      if (!isWebUrl(address)) return address.split('/')
      const [kind = '', , ...id] = images.resolver.resolveUrl(address).text.split('/')
      return [kind, ...id]
    }
    /** What is asked for, by the name it was given, and how to come to its address. */
    function* wanted(): Generator<readonly [name: string, addressOf: () => string]> {
      for (const given of addresses) {
        const whole = () => (isWebUrl(given) ? images.resolver.resolveUrl(given).text : given)
        if (variants.length === 0) yield [given, whole]
        for (const variant of variants) {
          const addressOf = (): string => {
            const [kind = '', ...id] = partsOf(given)
            return `${kind}/${variant}/${id.join('/')}`
          }
          yield [isWebUrl(given) ? `${variant} of ${given}` : addressOf(), addressOf]
        }
      }
    }
    const count = { made: 0, failed: 0 }
    const errors: Record<string, string> = {}
    for (const [name, addressOf] of wanted()) {
      if (tools.signal.aborted) return { state: 'cancelled' }
      try {
        await images.getImage(addressOf(), { signal: tools.signal, isBackground: true })
        count.made += 1
      } catch (error) {
        count.failed += 1
        if (Object.keys(errors).length < 100) errors[name] = asArtworkError(error).reason
      }
      tools.progress(count.made + count.failed, total)
      if ((count.made + count.failed) % 50 === 0) await breathe()
    }
    const result = { ...count, errors }
    return count.made === 0 && count.failed > 0
      ? { state: 'failed', error: 'nothing could be made', result }
      : { state: 'done', result }
  }
  const cleanup: Handler = async (job, tools) => {
    const { dryRun, maxAgeDays, force } = fieldsOf(job.payload)
    const days = typeof maxAgeDays === 'number' ? { maxAgeDays } : {}
    const going: { readonly name: string; readonly why: string }[] = []
    const onGoing = (name: string, why: string): void => {
      if (going.length < MOST_TOLD) going.push({ name, why })
    }
    const { signal, progress: onProgress } = tools
    const result = await verbs.optimizeCache(
      { dryRun: dryRun === true, force: force === true, ...days },
      { signal, onProgress, onGoing },
    )
    return signal.aborted ? { state: 'cancelled' } : { state: 'done', result: { ...result, going } }
  }
  const verify: Handler = async (_job, tools) => {
    const total = verbs.stats().names
    const report = await verbs.verify({
      signal: tools.signal,
      onProgress: ({ checked }) => tools.progress(Math.min(checked, total), total),
    })
    return report.state === 'stopped' ? { state: 'cancelled' } : { state: 'done', result: report }
  }
  /** Puts every entity's picture where media servers find it, and takes away what is not kept any more. */
  const exported: Handler = async (job, tools) => {
    const { directory = settings.export.directory, overwrite } = fieldsOf(job.payload)
    if (typeof directory !== 'string' || directory === '')
      return {
        state: 'failed',
        reason: 'invalid_url',
        error: 'no directory to export to: set export.directory',
      }
    try {
      const report = await exporter.run(directory, {
        overwrite: overwrite === true,
        signal: tools.signal,
        onProgress: tools.progress,
      })
      if (!report.complete) return { state: 'cancelled' }
      return report.failed === 0
        ? { state: 'done', result: report }
        : { state: 'failed', reason: 'disk_write', error: 'some files could not be placed', result: report }
    } catch (error) {
      settings.logger.error({ err: error }, 'artwork export: the directory cannot be used')
      return { state: 'failed', reason: 'disk_write', error: 'the export directory cannot be used' }
    }
  }
  /** Takes pictures in that are files already. */
  const imported: Handler = async (job, tools) => {
    const { directory, overwrite } = fieldsOf(job.payload)
    if (typeof directory !== 'string' || directory === '')
      return { state: 'failed', reason: 'invalid_url', error: 'no directory to import from' }
    const result = await verbs.importFolder(directory, {
      overwrite: overwrite === true,
      signal: tools.signal,
      onProgress: tools.progress,
    })
    return tools.signal.aborted ? { state: 'cancelled' } : { state: 'done', result }
  }
  const work = { refresh, warm, cleanup, verify, export: exported, import: imported }
  // Who cannot list entities leaves it to the processes that can.
  return repository?.list === undefined ? work : { ...work, sync, validate }
}

/** Waits, but not for who was told to stop. */
const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(Math.min(ms, 60_000), undefined, { ref: false, signal }).catch(() => {})
