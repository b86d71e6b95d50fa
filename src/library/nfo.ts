/** The element of a picture in an NFO file, as Kodi, Jellyfin and Emby read it, with the path of the exported file. */
import { posix, resolve } from 'node:path'
import type { DisplayQuestion, DisplayUrls } from '../images/display-url.js'
import { isWebUrl } from '../model/web-url.js'
import type { Settings } from '../options/settings.js'
import { HIDDEN } from './export-files.js'

/** How a picture is named in an NFO file. */
export interface NfoOptions {
  /** Kind of the subject, where it has none itself. */
  readonly kind?: string | undefined
  /** `poster`, `banner`, `clearlogo`, `landscape` …; `fanart` for a backdrop. @default what the kind's placeholder is of */
  readonly aspect?: string | undefined
  /** Folder of the NFO file, as the media server sees it: the path is relative to it. @default none: an absolute path */
  readonly from?: string | undefined
  /** Never the source's own URL, where there is no file. @default false */
  readonly requireLocal?: boolean | undefined
}

const ASPECTS: Readonly<Record<string, string>> = { poster: 'poster', backdrop: 'fanart', logo: 'clearlogo' }

const xml = (text: string): string =>
  text
    // What XML cannot hold at all.
    .replace(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, '')
    .replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)

/** The element of a picture; '' where there is neither a file nor, if that will do, a URL. */
export function nfoElement(
  settings: Pick<Settings, 'export' | 'urls' | 'display'>,
  display: Pick<DisplayUrls, 'local' | 'image'>,
  question: DisplayQuestion,
  { aspect, from, requireLocal = false }: NfoOptions,
): string {
  const local = display.local(question)
  const { directory, seenAs } = settings.export
  const file =
    local === undefined || directory === undefined
      ? undefined
      : posix.join((seenAs ?? resolve(directory)).replaceAll('\\', '/'), HIDDEN, local.path)
  const own =
    local !== undefined && settings.urls.base !== ''
      ? `${settings.urls.base}${settings.urls.local}/${local.path}`
      : undefined
  const { sourceUrl = '' } = question
  const isPrinted =
    !requireLocal &&
    !settings.display.requireLocal &&
    isWebUrl(sourceUrl) &&
    // Who may have it is asked by us.
    display.image(sourceUrl)?.isPrivate !== true
  const source = isPrinted ? sourceUrl : undefined
  const where = file === undefined ? (own ?? source) : from === undefined ? file : posix.relative(from, file)
  if (where === undefined) return ''
  const shape = aspect ?? ASPECTS[question.kind?.placeholder ?? ''] ?? ''
  if (shape === 'fanart') return `<fanart><thumb>${xml(where)}</thumb></fanart>`
  return `<thumb${shape === '' ? '' : ` aspect="${xml(shape)}"`}>${xml(where)}</thumb>`
}
