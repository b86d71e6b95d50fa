/** Downloads of entities' pictures as jobs: their key, their payload, and their handler. */
import type { DownloadRequest, SaveImageResult } from '../images/download.js'
import { type EntityId, entityIdText } from '../model/artwork-path.js'
import type { BackOffs, Handler, MergePayload, NewJob } from '../model/job-queue.js'
import { hostOf } from '../model/web-url.js'
import { createUrlBackOff, RETRY_DELAYS, type RetryParts, retryDelay } from './retry.js'

/** How urgent a job is. First in, first out within a priority. */
export type Priority = 'high' | 'normal' | 'low'
/** See `Priority`. */
export const PRIORITIES: Readonly<Record<Priority, number>> = { high: 2, normal: 1, low: 0 }

const DOWNLOAD = 'download'

/** A download as it is queued: plain data. */
interface DownloadPayload {
  readonly sourceUrl: string
  readonly entityType: string
  readonly entityId: string
  readonly params: Readonly<Record<string, string>>
  readonly force?: boolean
}

/** What downloads work with. */
export interface DownloadParts extends Omit<RetryParts, 'backOffs'> {
  readonly backOffs: BackOffs
  download(request: DownloadRequest, signal?: AbortSignal): Promise<SaveImageResult>
  /** Of an entity's fields, those that its path needs, as text: nothing else of a record is stored. */
  paramsOf(kind: string, params: Readonly<Record<string, EntityId>>): Readonly<Record<string, string>>
  /** Before each further attempt, ms. @default 2 s, 10 s */
  readonly retryDelays?: readonly number[] | undefined
}

/** See the top of the file. */
export type Downloads = ReturnType<typeof createDownloads>

/** The key of an entity's picture in the queue. */
export const downloadKey = (kind: string, id: EntityId): string => `${kind}:${entityIdText(id)}`

/** Another URL, or a forced download, replaces what is queued. */
function replacement(before: DownloadPayload, payload: DownloadPayload): DownloadPayload | undefined {
  const isForced = before.force === true
  if (before.sourceUrl === payload.sourceUrl && (isForced || !payload.force)) return undefined
  return isForced ? { ...payload, force: true } : payload
}

/** Of requests for the same entity's picture, the last counts; a long job of the same key has the same options. */
export const mergePayload: MergePayload = ({ kind, payload }, before) =>
  kind === DOWNLOAD ? replacement(before as DownloadPayload, payload as DownloadPayload) : undefined

/** Makes what has to do with downloads. */
export function createDownloads(parts: DownloadParts) {
  const { backOffs, paramsOf, download, retryDelays = RETRY_DELAYS } = parts
  const backOff = createUrlBackOff(parts)

  const prepare = (request: DownloadRequest, priority: Priority, parent?: number): NewJob => {
    const { entityType, force } = request
    const payload: DownloadPayload = {
      sourceUrl: request.sourceUrl ?? '',
      entityType,
      entityId: entityIdText(request.entityId),
      params: paramsOf(entityType, request.params ?? {}),
      ...(force && { force: true }),
    }
    return {
      key: downloadKey(entityType, request.entityId),
      kind: DOWNLOAD,
      lane: 'task',
      priority: PRIORITIES[priority],
      payload,
      host: hostOf(payload.sourceUrl),
      parent,
    }
  }
  const handler: Handler = async ({ key, attempts, payload }, { signal }) => {
    const request = payload as DownloadPayload
    const result = await download({ ...request, again: attempts > 1 }, signal)
    if (result.status !== 'failed') {
      backOffs.clear(key)
      const { status, localPath, url, width, height, bytes, digest, repository } = result
      return { state: 'done', result: { status, localPath, url, width, height, bytes, digest, repository } }
    }
    if (signal.aborted) return { state: 'cancelled' }
    const { reason = 'unknown' } = result
    const delay = retryDelay(reason, attempts, retryDelays)
    if (delay !== undefined) return { state: 'again', after: delay, reason }
    backOff.record(key, request.sourceUrl, reason)
    return { state: 'failed', reason, error: `the picture could not be had: ${reason}` }
  }
  return { prepare, handler, isResting: backOff.isActive }
}
