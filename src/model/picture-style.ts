/**
 * How a picture's box is held and what is seen behind it: as a `style` attribute, or, for pages whose policy forbids those,
 * as classes of a small stylesheet, which knows shapes to a hundredth and colours to an eighth of a channel.
 */

import type { FocalPoint } from './focal-point.js'

/** What is to be seen. */
export interface PictureStyle {
  /** Width by height of a box that keeps its shape whatever picture comes. */
  readonly ratio?: number | undefined
  /** How the picture meets that box. */
  readonly fit?: 'cover' | 'contain' | undefined
  /** What stays in sight where its edges are cut off. */
  readonly focalPoint?: FocalPoint | undefined
  /** Seen until the picture has come, `#rrggbb`. */
  readonly color?: string | undefined
  /** Seen until the picture has come: a data URL. */
  readonly backdrop?: string | undefined
  readonly isRound?: boolean | undefined
}

/** A ratio in as few digits as keep it exact to a pixel of any screen. */
const ratioText = (ratio: number): string => String(Number(ratio.toFixed(5)))

/** The declarations of a `style` attribute, '' for none. */
export function styleText({ ratio, fit, focalPoint, color, backdrop, isRound }: PictureStyle): string {
  return [
    isRound ? 'border-radius:50%' : undefined,
    ratio === undefined ? undefined : `aspect-ratio:${ratioText(ratio)}`,
    fit === undefined ? undefined : `object-fit:${fit}`,
    fit !== 'cover' || focalPoint === undefined
      ? undefined
      : `object-position:${focalPoint.x}% ${focalPoint.y}%`,
    color === undefined ? undefined : `background-color:${color}`,
    backdrop === undefined ? undefined : `background-image:url(${backdrop});background-size:cover`,
  ]
    .filter((one) => one !== undefined)
    .join(';')
}

/** Ratios are told apart by steps of two hundredths of their logarithm, from 1:8 to 8:1. */
const STEP = 0.02
const MOST_STEPS = 104
const LEVELS = 8

const stepOf = (ratio: number): number =>
  Math.max(-MOST_STEPS, Math.min(MOST_STEPS, Math.round(Math.log(ratio) / STEP)))
const ratioClass = (step: number): string => `artwork-ratio-${step < 0 ? 'tall' : 'wide'}-${Math.abs(step)}`

/** Points are told apart by steps of so many per cent. */
const POINT_STEP = 5
const pointClass = ({ x, y }: FocalPoint): string =>
  `artwork-at-${Math.round(x / POINT_STEP) * POINT_STEP}-${Math.round(y / POINT_STEP) * POINT_STEP}`

/** The classes that say the same, as nearly as the stylesheet can; a backdrop is left to its colour. */
export function styleClasses({ ratio, fit, focalPoint, color, isRound }: PictureStyle): readonly string[] {
  const levels = color === undefined ? [] : (color.match(/[0-9a-f]{2}/gi) ?? [])
  return [
    isRound ? 'artwork-round' : undefined,
    ratio === undefined ? undefined : ratioClass(stepOf(ratio)),
    fit === undefined ? undefined : `artwork-${fit}`,
    fit !== 'cover' || focalPoint === undefined ? undefined : pointClass(focalPoint),
    levels.length < 3
      ? undefined
      : `artwork-color-${levels
          .slice(0, 3)
          .map((level) => Math.round((Number.parseInt(level, 16) / 255) * (LEVELS - 1)))
          .join('')}`,
  ].filter((one) => one !== undefined)
}

/** The stylesheet of these classes. */
export function pictureStylesheet(): string {
  const rules = [
    '.artwork-round{border-radius:50%}',
    '.artwork-cover{object-fit:cover}',
    '.artwork-contain{object-fit:contain}',
  ]
  for (let step = -MOST_STEPS; step <= MOST_STEPS; step += 1)
    rules.push(`.${ratioClass(step)}{aspect-ratio:${ratioText(Math.exp(step * STEP))}}`)
  for (let x = 0; x <= 100; x += POINT_STEP)
    for (let y = 0; y <= 100; y += POINT_STEP)
      rules.push(`.${pointClass({ x, y })}{object-position:${x}% ${y}%}`)
  const level = (index: number): string =>
    Math.round((index * 255) / (LEVELS - 1))
      .toString(16)
      .padStart(2, '0')
  for (let number = 0; number < LEVELS ** 3; number += 1) {
    const digits = number.toString(LEVELS).padStart(3, '0')
    const color = [...digits].map((digit) => level(Number(digit))).join('')
    rules.push(`.artwork-color-${digits}{background-color:#${color}}`)
  }
  return `${rules.join('\n')}\n`
}

/** The file name of the stylesheet, beside the placeholders. */
export const PICTURE_STYLESHEET = 'artwork.css'
/** The file name of the script that shows placeholders where a source's own URL does not answer. */
export const PICTURE_SCRIPT = 'artwork.js'
/** Where that script reports to, below the placeholders. */
export const BROKEN_PATH = 'broken'
