/** `Link: rel=preload` for pictures above the fold (RFC 8288; `imagesrcset` and `imagesizes` of the HTML standard). */
import type { ServerResponse } from 'node:http'

/** An image that the browser should fetch early. */
export interface Preloaded {
  readonly url: string
  /** Candidates by width or density, '' where there are none. */
  readonly srcset: string
  readonly sizes: string | undefined
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
    ...(srcset === '' ? [] : [`imagesrcset=${quoted(srcset)}`]),
    ...(srcset === '' || sizes === undefined ? [] : [`imagesizes=${quoted(sizes)}`]),
    ...(type === undefined ? [] : [`type=${quoted(type)}`]),
    'fetchpriority=high',
  ].join('; ')
}

/** Adds a `Link` field to a response. Does nothing once its head is sent, or where it has the same one. */
export function addLink(res: ServerResponse, link: string): void {
  if (res.headersSent) return
  if ([res.getHeader('Link') ?? []].flat().includes(link)) return
  res.appendHeader('Link', link)
}

/** The responses of pages that are being rendered: `priority` in a template adds to their head. */
export interface PagePreloads {
  /** A response has passed the router; pages are rendered with its `locals`. */
  note(res: ServerResponse & { readonly locals?: object }): void
  /** Adds a link to the response whose page has this context; nothing where it is not known. */
  add(context: object | undefined, preloaded: Preloaded): void
  /** Adds a link to a response. */
  addTo(res: ServerResponse, preloaded: Preloaded): void
}

/** Most characters of all links of a page: its head has to fit into what proxies take, which is 4 KiB in some. */
const MAX_LINKS = 2000

/** Makes the table; a response is forgotten with its `locals`. */
export function createPagePreloads(): PagePreloads {
  const responses = new WeakMap<object, ServerResponse>()
  const addTo = (res: ServerResponse, preloaded: Preloaded): void => {
    const link = preloadLink(preloaded)
    const before = [res.getHeader('Link') ?? []].flat().join()
    // What is left out has its markup, which says `fetchpriority`.
    if (before.length + link.length <= MAX_LINKS) addLink(res, link)
  }
  return {
    addTo,
    note: (res) => {
      if (typeof res.locals === 'object' && res.locals !== null) responses.set(res.locals, res)
    },
    add: (context, preloaded) => {
      // Express hands `res.locals` to a view as `_locals`.
      const locals: unknown = context === undefined ? undefined : Reflect.get(context, '_locals')
      const res = typeof locals === 'object' && locals !== null ? responses.get(locals) : undefined
      if (res !== undefined) addTo(res, preloaded)
    },
  }
}
