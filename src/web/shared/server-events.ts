/** Server-sent events, written until the source ends or the client has gone. */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** One event. */
export interface ServerEvent {
  readonly event: string
  readonly id?: string
  readonly data: unknown
}

/** A line that says nothing keeps proxies from hanging up, ms. */
const KEEP_ALIVE = 15_000

/** Answers with events until there are no more. */
export async function sendEvents(
  req: IncomingMessage,
  res: ServerResponse,
  events: AsyncIterable<ServerEvent>,
): Promise<undefined> {
  res.writeHead(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-store, no-transform',
    'X-Content-Type-Options': 'nosniff',
    'X-Accel-Buffering': 'no',
  })
  if (req.method === 'HEAD') {
    res.end()
    return undefined
  }
  res.flushHeaders()
  const timer = setInterval(() => res.write(':\n\n'), KEEP_ALIVE).unref()
  try {
    for await (const { event, id, data } of events) {
      const text = `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
      // Back-pressure: nothing is written to a client that does not read.
      if (!res.write(text) && !res.destroyed)
        await new Promise<void>((resolve) => {
          const go = (): void => {
            res.off('drain', go).off('close', go)
            resolve()
          }
          res.on('drain', go).on('close', go)
        })
    }
  } finally {
    clearInterval(timer)
    res.end()
  }
  return undefined
}
