/** Ids of requests, for logs and answers. */
import { randomUUID } from 'node:crypto'

/** What an id may be that a client gave: bounded, and nothing that could break a log or a header. */
const SOUND = /^[A-Za-z0-9._:/+=-]{1,128}$/

/** The id that a request came with (`X-Request-Id`), where that is sound; else a new one. */
export const requestId = (given: string | string[] | undefined): string =>
  typeof given === 'string' && SOUND.test(given) ? given : randomUUID()
