/** How large a picture is laid out, and which of its candidates that asks for. */
import { type Candidate, srcsetOf } from '../images/print-url.js'
import type { Format } from '../model/media-type.js'
import type { PictureArguments } from './picture-arguments.js'
import type { PictureData } from './picture-data.js'

/** The sides of a picture, and whether it keeps that shape whatever comes. */
export interface Layout {
  readonly width: number
  readonly height: number
  /** Width by height, where it is held. */
  readonly ratio: number | undefined
  /** The width that was asked for, or more where a picture of its shape has to be wider to fill the box: candidates are by density. */
  readonly fixedWidth: number | undefined
}

/** Candidates as text, and what they belong to. */
export interface CandidateText {
  readonly srcset: string
  readonly sizes: string | undefined
}

const NO_CANDIDATES: CandidateText = { srcset: '', sizes: undefined }

type SizeArguments = Pick<PictureArguments, 'width' | 'height' | 'ratio'> &
  Partial<Pick<PictureArguments, 'fit'>>

/** The box of a picture: as it was asked for, in the picture's own shape, else in the box of its kind. */
export function layoutOf(
  { box, isShapeKnown }: Pick<PictureData, 'box' | 'isShapeKnown'>,
  asked: SizeArguments,
): Layout {
  const own = box.width / box.height
  const { width, height } = asked
  const given = asked.ratio ?? (width !== undefined && height !== undefined ? width / height : undefined)
  const ratio = given ?? own
  const wide = width ?? (height === undefined ? box.width : height * ratio)
  const high = height ?? wide / ratio
  const isHeld = given === undefined ? !isShapeKnown : !isShapeKnown || Math.abs(given / own - 1) > 0.01
  return {
    width: Math.max(1, Math.round(wide)),
    height: Math.max(1, Math.round(high)),
    ratio: isHeld ? ratio : undefined,
    fixedWidth:
      width === undefined && height === undefined
        ? undefined
        : Math.max(
            1,
            Math.round(isShapeKnown && asked.fit !== 'contain' ? Math.max(wide, high * own) : wide),
          ),
  }
}

/** For each density the narrowest candidate that is sharp in a box of so many pixels; each once. */
export function byDensity(
  candidates: readonly Candidate[],
  width: number,
  densities: readonly number[],
): readonly { readonly url: string; readonly density: number }[] {
  const chosen: { readonly url: string; readonly density: number }[] = []
  for (const density of [...densities].sort((a, b) => a - b)) {
    const enough = candidates.find((one) => one.width >= width * density) ?? candidates.at(-1)
    if (enough !== undefined && enough.url !== chosen.at(-1)?.url) chosen.push({ url: enough.url, density })
  }
  return chosen
}

/** Candidates of a picture in a format, as its layout wants them. */
export function candidateText(
  data: PictureData,
  format: Format | 'auto' | undefined,
  asked: Pick<PictureArguments, 'widths' | 'sizes' | 'densities' | 'loading'>,
  { fixedWidth }: Pick<Layout, 'fixedWidth'>,
): CandidateText {
  const candidates = data.candidates(format, asked.widths)
  if (candidates.length === 0) return NO_CANDIDATES
  if (fixedWidth !== undefined && asked.sizes === undefined)
    return {
      srcset: byDensity(candidates, fixedWidth, asked.densities)
        .map(({ url, density }) => `${url} ${density}x`)
        .join(', '),
      sizes: undefined,
    }
  return {
    srcset: srcsetOf(candidates),
    sizes: asked.sizes ?? (asked.loading === 'lazy' ? 'auto, 100vw' : '100vw'),
  }
}
