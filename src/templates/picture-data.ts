/** What is known of a picture when a page is printed: its URL, its candidates, its box, and what is seen before it comes. */

import type { Displayed } from '../images/display-url.js'
import { type Candidate, inOrder, type PrintableImage } from '../images/print-url.js'
import { sizeNotOffered } from '../model/diagnostic.js'
import { type Box, PLACEHOLDER_BOXES } from '../model/entity.js'
import type { Entry } from '../model/entry.js'
import type { FocalPoint } from '../model/focal-point.js'
import { type Format, kindOfType } from '../model/media-type.js'
import { isMovingFormat } from '../model/output.js'
import { type Subject, sourceKindsOf } from '../model/subject.js'
import { isOwnUrl } from '../model/urls.js'
import { cutOf } from '../model/variant.js'
import type { Later } from './markup-cache.js'
import type { SubjectLookup, TemplateParts } from './parts.js'

/** See the top of the file. */
export interface PictureData {
  readonly subject: Subject
  readonly shown: Displayed
  /** The URL of its placeholder. */
  readonly placeholder: string
  /** Its original, where that is known. */
  readonly original: Entry | undefined
  /** The sides of what `shown.url` answers with, where they are known; else the box of its kind. */
  readonly box: Box
  readonly isShapeKnown: boolean
  /** Whether its edges must not be cut off: a logo, an SVG. */
  readonly isWhole: boolean
  /** What of it stays in sight, where it is shown whole in its file. */
  readonly focalPoint: FocalPoint | undefined
  /**
   * Candidates by width, narrowest first; none where there are none that answer.
   * @param format undefined: its own format; `auto`: by `Accept`, where its URL can say that
   */
  candidates(format: Format | 'auto' | undefined, widths?: readonly unknown[]): readonly Candidate[]
  /** Formats that are offered before its own, best first. */
  readonly modern: readonly Format[]
}

/** Formats that a page offers before the picture's own, best first. */
const MODERN = ['avif', 'webp'] as const satisfies readonly Format[]

/** Looks a picture up. @param later finds out more about it, when that is asked for */
export function pictureData(
  { images, settings, events }: Pick<TemplateParts, 'images' | 'settings' | 'events'>,
  { show, nameOfSubject }: SubjectLookup,
  subject: Subject,
  requireLocal: boolean,
  later: Later,
): PictureData {
  const { display } = images
  const { shown, local, source } = show(subject, requireLocal)
  const placeholder = display.placeholder(subject.kind, subject.kindName)
  if (local !== undefined) {
    const original = display.entity.originalOf(local.entry) ?? local.entry
    return {
      subject,
      shown,
      placeholder,
      original,
      isWhole: false,
      focalPoint: focalPointOf(original, local.entry.recipe),
      ...boxOf(settings, subject, shown, original, undefined),
      candidates: remembered({
        later,
        events,
        find: (format, widths) =>
          display.entity.candidates(local, format === 'auto' ? undefined : format, widths),
        refusal: (width) => (display.entity.isOffered(local.entry, width) ? undefined : NOT_LISTED),
      }),
      modern: modernOf(settings, original, local.entry.type),
    }
  }
  // Where nothing but a local copy may be shown, its placeholder is shown until there is one.
  const isHidden = shown.from === 'placeholder' && (requireLocal || settings.display.requireLocal)
  const name = isHidden ? undefined : nameOfSubject(subject)
  const image =
    name === undefined
      ? undefined
      : name.text === source?.text
        ? source.image
        : display.image(name.text, name.kinds)
  const original = image?.original()
  const isWhole = image?.kind === 'logo' || (original !== undefined && kindOfType(original.type) === 'svg')
  return {
    subject,
    shown,
    placeholder,
    original,
    isWhole,
    focalPoint: original?.focalPoint,
    ...boxOf(settings, subject, shown, original, image),
    candidates:
      image === undefined
        ? () => NONE
        : remembered({
            later,
            events,
            find: image.candidates,
            refusal: (width) => image.refusal(`w${width}`),
          }),
    modern: modernOf(settings, original, original?.type),
  }
}
/** Of an image that was cut to a shape about its point, the middle is what should be seen. */
const focalPointOf = ({ focalPoint }: Entry, recipe: string | undefined): FocalPoint | undefined =>
  cutOf(recipe) === undefined ? focalPoint : undefined
const NONE: readonly Candidate[] = []
const NOT_LISTED = 'it is none of widths'

/** How candidates are found. */
interface CandidateParts extends Pick<TemplateParts, 'events'> {
  readonly later: Later
  find(format: Format | 'auto' | undefined, widths?: readonly number[]): readonly Candidate[]
  /** Why a width is not offered; undefined where it is. */
  refusal(width: number): string | undefined
}

/** Candidates of all widths are found out once for each format; of those that are named, what is not offered is noted. */
function remembered({ later, find, refusal, events }: CandidateParts): PictureData['candidates'] {
  const known = new Map<Format | 'auto' | undefined, readonly Candidate[]>()
  return (format, widths) => {
    if (widths !== undefined) {
      const wanted = inOrder(widths)
      for (const width of wanted) {
        const why = refusal(width)
        if (why !== undefined) events.emit('diagnosed', sizeNotOffered(`w${width}`, why))
      }
      return find(format, wanted)
    }
    const before = known.get(format)
    if (before !== undefined) return before
    const found = later(() => find(format))
    known.set(format, found)
    return found
  }
}

/** Formats worth offering: those that are made, that are not its own, and in which it goes on moving. */
function modernOf(
  { transform }: Pick<TemplateParts['settings'], 'transform'>,
  original: Entry | undefined,
  ownType: string | undefined,
): readonly Format[] {
  const isMoving = (original?.traits?.frames ?? 1) > 1
  const own: string | undefined = ownType === undefined ? undefined : kindOfType(ownType)
  const better: readonly Format[] = MODERN.filter(
    (format) => transform.formats.includes(format) && (!isMoving || isMovingFormat(format)),
  )
  // What comes after its own format is nothing that a browser would take instead.
  const end = own === undefined ? -1 : better.map(String).indexOf(own)
  return end < 0 ? better : better.slice(0, end)
}

function boxOf(
  { urls }: Pick<TemplateParts['settings'], 'urls'>,
  subject: Subject,
  shown: Displayed,
  original: Entry | undefined,
  image: PrintableImage | undefined,
): Pick<PictureData, 'box' | 'isShapeKnown'> {
  if (shown.width !== undefined && shown.height !== undefined)
    return { box: { width: shown.width, height: shown.height }, isShapeKnown: true }
  if (shown.from !== 'placeholder' && original !== undefined && original.width > 0) {
    const isOwn = shown.from === 'local' || isOwnUrl(urls, shown.url)
    const { width, height } = (isOwn ? image?.size() : undefined) ?? original
    return { box: { width, height }, isShapeKnown: true }
  }
  return { box: heldBox(subject, image), isShapeKnown: false }
}

/** The box that is held for a picture of unknown shape: of its kind of entity, or of its kind of source. */
function heldBox(subject: Subject, image: PrintableImage | undefined): Box {
  if (subject.kind !== undefined) return subject.kind.box
  const usual = image?.usualSize
  if (usual !== undefined) return usual
  const [named] = sourceKindsOf(subject)
  return PLACEHOLDER_BOXES[named as keyof typeof PLACEHOLDER_BOXES] ?? PLACEHOLDER_BOXES['']
}
