/** The files that pages of the dashboard load. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Representation } from '../../http/image-fields.js'
import { etagOf } from '../../model/digest.js'

/** Reads them when they are first asked for. @param views folder of the templates @param storedAt ms since the epoch */
export function createAssets(views: string, storedAt: number) {
  let known: { readonly version: string; readonly files: ReadonlyMap<string, Representation> } | undefined
  const read = () => {
    const uplot = join(createRequire(import.meta.url).resolve('uplot'), '..')
    const sources = {
      'dashboard.css': ['text/css', join(views, 'artwork', 'dashboard.css')],
      'dashboard.js': ['text/javascript', join(views, 'artwork', 'dashboard.js')],
      'uplot.css': ['text/css', join(uplot, 'uPlot.min.css')],
      'uplot.js': ['text/javascript', join(uplot, 'uPlot.iife.min.js')],
    } as const
    const files = Object.entries(sources).map(([fileName, [type, file]]): [string, Representation] => {
      const bytes = readFileSync(file)
      const digest = createHash('sha256').update(bytes).digest('hex')
      return [
        fileName,
        { bytes, type: `${type}; charset=utf-8`, digest, etag: etagOf(digest), storedAt, fileName },
      ]
    })
    const version = createHash('sha256').update(files.map(([, { digest }]) => digest).join())
    return { version: version.digest('hex').slice(0, 12), files: new Map(files) }
  }
  const all = () => {
    known ??= read()
    return known
  }
  return {
    /** Changes with any of them; part of their URLs. */
    version: (): string => all().version,
    find: (name: string): Representation | undefined => all().files.get(name),
  }
}
