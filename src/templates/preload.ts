/** `Link: rel=preload` for pictures above the fold (RFC 8288; `imagesrcset` and `imagesizes` of the HTML standard). */
import type { ServerResponse } from 'node:http'

/** An image that the browser should fetch early. */
export interface Preloaded {
  readonly url: string
  /** Candidates by width, '' where there are none. */
  readonly srcset: string
  readonly sizes: string
  /** Media type, where all candidates have the same. */
  readonly type: string | undefined
}

/** A value in quotes, without characters that cannot be in one. */
const quoted = (text: string): string => `"${text.replace(/[^\x20-\x7e]|["\\]/gu, '')}"`

/** The value of a `Link` field. */
export function preloadLink({ url, srcset, sizes, type }: Preloaded): string {
  const target = url.replace(/[^\x21-\x7e]|[<>"]/gu, (sign) =>
    encodeURIComponent(Buffer.from(sign).toString()),
  )
  return [
    `<${target}>`,
    'rel=preload',
    'as=image',
    ...(srcset === '' ? [] : [`imagesrcset=${quoted(srcset)}`, `imagesizes=${quoted(sizes)}`]),
    ...(type === undefined ? [] : [`type=${quoted(type)}`]),
    'fetchpriority=high',
  ].join('; ')
}

/** Adds a `Link` field to a response. Does nothing once its head is sent. */
export function addLink(res: ServerResponse, link: string): void {
  if (!res.headersSent) res.appendHeader('Link', link)
}
