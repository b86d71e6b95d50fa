/** What the pages of an app need of their Content Security Policy for the images that templates print. */
import { isWebUrl } from '../model/web-url.js'
import type { Settings } from '../options/settings.js'

/** Directives by name, as helmet takes them. */
export type ImagePolicy = Readonly<Record<'img-src' | 'style-src-attr', readonly string[]>>

/** Sources of `img-src`: this site, and, unless `display.requireLocal` is set, where the images of its sources live. */
export function imagePolicy({
  sources,
  urls,
  display,
  fetch,
}: Pick<Settings, 'sources' | 'urls' | 'display' | 'fetch'>): ImagePolicy {
  const base = isWebUrl(urls.base) ? [new URL(urls.base).origin] : []
  const hosts = display.requireLocal ? [] : sources.flatMap(({ origins = [] }) => origins)
  // A source without a port stands for the usual ones only.
  const ports = fetch.allowPrivate.filter((hostAndPort) => hosts.includes(hostAndPort.replace(/:\d+$/, '')))
  return {
    'img-src': [...new Set(["'self'", 'data:', ...base, ...hosts, ...ports])],
    // The macros hold boxes by a style of their own, unless they are told to do so by classes.
    'style-src-attr': [display.styles === 'attributes' ? "'unsafe-inline'" : "'none'"],
  }
}
