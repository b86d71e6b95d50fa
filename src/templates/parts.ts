/** What templates work with, and what they find out about a subject. */
import type { Events } from '../events.js'
import type { DisplayFound } from '../images/display-url.js'
import type { Images } from '../images/images.js'
import type { Subject } from '../model/subject.js'
import type { Settings } from '../options/settings.js'

/** See the top of the file. */
export interface TemplateParts {
  readonly images: Pick<Images, 'display' | 'trace'>
  readonly settings: Pick<
    Settings,
    'kinds' | 'kindOf' | 'export' | 'urls' | 'logger' | 'display' | 'transform' | 'now'
  >
  readonly events: Pick<Events, 'emit'>
  /** A thumbhash as a data URL. */
  readonly thumbhashUrl: (thumbhash: string) => string | undefined
}

/** A text that names an image of a source, and the kinds that it may be of. */
export interface ImageName {
  readonly text: string
  readonly kinds: readonly string[]
}

/** What is printed for a subject, with the local image where that is one. */
export interface Shown extends DisplayFound {
  readonly subject: Subject
}

/** How a subject is looked up. */
export interface SubjectLookup {
  show(subject: Subject, requireLocal: boolean): Shown
  /** The name of the subject's image under `/images`, where it has one. */
  nameOfSubject(subject: Subject): ImageName | undefined
}
