/** The drawings of placeholders: one for each kind of picture, of any size, made from one template. */
import type { Representation } from '../../http/image-fields.js'
import { digestOf, etagOf } from '../../model/digest.js'
import { type Box, PLACEHOLDER_BOXES, type PlaceholderName } from '../../model/entity.js'

interface Drawing {
  readonly label: string
  /** Shapes around the origin, within ±50. */
  readonly glyph: string
}

const PERSON = '<circle cy="-16" r="17"/><path d="M-34 42a34 34 0 0 1 68 0z"/>'
const DISC =
  '<path fill-rule="evenodd" d="M0-42a42 42 0 1 0 0 84 42 42 0 0 0 0-84zm0 28a14 14 0 1 1 0 28 14 14 0 0 1 0-28z"/><circle r="4"/>'
const LIST =
  '<path d="M-40-30h60v9h-60zM-40-8h60v9h-60zM-40 14h36v9h-36z"/><path d="M26-8v34a11 9 0 1 1-7-8v-36l24-7v9z"/>'
const FRAME =
  '<path fill-rule="evenodd" d="M-44-34h88v68h-88zm8 8v52h72v-52z"/><circle cx="-16" cy="-8" r="8"/><path d="M-30 20l20-18 12 10 16-20 16 28z"/>'
const CLAPPER = '<path d="M-42-12h84v48h-84z"/><path d="M-42-20l80-16 3 12-80 16z" transform="rotate(-4)"/>'
const GRID = '<path d="M-38-38h32v32h-32zM6-38h32v32H6zM-38 6h32v32h-32zM6 6h32v32H6z"/>'
const STAR = '<path d="M0-42l12 28 30 3-23 20 7 30L0 23l-26 16 7-30-23-20 30-3z"/>'

const drawings: Readonly<Record<PlaceholderName, Drawing>> = {
  '': { label: 'No picture', glyph: FRAME },
  artist: { label: 'No artist picture', glyph: PERSON },
  album: { label: 'No album cover', glyph: DISC },
  playlist: { label: 'No playlist cover', glyph: LIST },
  profile: { label: 'No profile picture', glyph: PERSON },
  category: { label: 'No category picture', glyph: GRID },
  artwork: { label: 'No artwork', glyph: FRAME },
  poster: { label: 'No poster', glyph: CLAPPER },
  backdrop: { label: 'No backdrop', glyph: FRAME },
  logo: { label: 'No logo', glyph: STAR },
  still: { label: 'No still', glyph: CLAPPER },
}

/**
 * The SVG of a placeholder. Its colours sit between light and dark, so that it suits either page.
 * @param box how large, in place of its own size
 */
function svgOf(name: PlaceholderName, box: Box = PLACEHOLDER_BOXES[name]): string {
  const { label, glyph } = drawings[name]
  const { width, height } = box
  const scale = (Math.min(width, height) / 260).toFixed(2)
  return `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="${label}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"><title>${label}</title><defs><linearGradient id="g" x2="1" y2="1"><stop stop-color="#5b6474"/><stop offset="1" stop-color="#3a4150"/></linearGradient></defs><rect width="100%" height="100%" fill="url(#g)"/><g fill="#aeb6c4" transform="translate(${width / 2} ${height / 2}) scale(${scale})">${glyph}</g></svg>\n`
}

/** The box of a placeholder within other bounds: its own shape where only one side is given. */
export function boxWithin(name: PlaceholderName, { width, height }: Partial<Box>): Box {
  const own = PLACEHOLDER_BOXES[name]
  const wide = width ?? (height === undefined ? own.width : Math.round((height * own.width) / own.height))
  const high = height ?? Math.round((wide * own.height) / own.width)
  return { width: Math.max(1, wide), height: Math.max(1, high) }
}

/** A placeholder as an image to answer with. @param storedAt ms since the epoch */
export function drawPlaceholder(
  name: PlaceholderName,
  storedAt: number,
  fileName: string,
  box?: Box,
): Representation {
  const bytes = Buffer.from(svgOf(name, box))
  const digest = digestOf(bytes)
  return { bytes, type: 'image/svg+xml', digest, etag: etagOf(digest), storedAt, fileName, isOurs: true }
}
