/**
 * A Variant says how a picture should look. Its canonical text is the key: tokens in a fixed order, joined
 * by `-`, defaults left out (`w300-h300-cover-webp-q80`, `w342`, `original`, `avatar-webp`). Text that is
 * not canonical is refused, so that one look has one name.
 */

import { type Encoding, effortIn, equalQuality, qualityFor } from './encoding.js'
import { ArtworkError } from './failure.js'
import { type FocalPoint, isPosition, type Position, positionAt } from './focal-point.js'
import { type Format, isFormat, type Kind } from './media-type.js'

/** How a picture meets its box: whole inside it, or filling it with the overhang cut. */
export type Fit = 'inside' | 'cover'

/** A named variant, as an app declares it. Sizes in pixels, quality 1–100. */
export interface Preset {
  /** Pixels. @default what the height comes to */
  readonly width?: number | undefined
  /** Pixels. @default what the width comes to */
  readonly height?: number | undefined
  /** Whether it is whole within the box, or fills it and is cut. @default 'inside' */
  readonly fit?: Fit | undefined
  /** What stays in sight where it is cut: see {@link Position}. @default the focal point of the picture, else its middle */
  readonly position?: Position | undefined
  /** Only a preset may enlarge. @default false */
  readonly enlarge?: boolean | undefined
  /** What it is encoded in. @default the source's own family */
  readonly format?: Format | undefined
  /** Meant for JPEG and WebP; AVIF gets the one that looks the same. @default `transform.quality` */
  readonly quality?: number | undefined
}

/** A parsed variant. `base` is `original`, `box`, or the name of a preset. */
export interface Variant {
  /** `original`, `box`, or the name of a preset. */
  readonly base: string
  /** Pixels, of a box. */
  readonly width?: number
  /** Pixels, of a box. */
  readonly height?: number
  /** Whether the box is filled, and the overhang cut. */
  readonly cover: boolean
  /** What stays in sight where it is cut. */
  readonly position?: Position
  /** Its format token. */
  readonly format?: Format | 'auto'
  /** Its quality token, 1 to 100. */
  readonly quality?: number
}

/** What the text of a variant is read against. */
export interface VariantRules {
  readonly presets: Readonly<Record<string, Preset>>
  /** Its qualities are left out of the text. */
  readonly encoding: Encoding
}

/** What is to be done for a variant, whatever the source is. */
export interface Recipe {
  /** Pixels of the box. */
  readonly width?: number
  /** Pixels of the box. */
  readonly height?: number
  /** Whether the image is whole within the box, or fills it. */
  readonly fit: Fit
  /** What stays in sight where it is cut; undefined: the focal point of the picture, else its middle. */
  readonly position?: Position
  /** Whether a smaller image is made larger. */
  readonly enlarge: boolean
  /** Undefined: the family of the source. */
  readonly format?: Format
  /** As the text of the variant asks for it, in the scale of its format; undefined: the usual one. */
  readonly quality?: number
  /** The usual one of a preset, meant for JPEG and WebP. */
  readonly presetQuality?: number
}

/** What a transformer is told: nothing in it depends on names, options or the source any more. */
export interface FullRecipe extends Omit<Recipe, 'presetQuality'> {
  readonly format: Format
  readonly quality: number
  /** The most that is to be spent; undefined where the format has none. */
  readonly effort: number | undefined
}

/**
 * Moves whenever the same recipe would come out as other pixels, so that old renditions are made anew: the second version
 * made other pictures of some sources only, whose facts say so.
 */
const PIPELINE_VERSION = { first: 1, revised: 2 } as const

/** The longest side that can be asked for, pixels: what WebP can hold (RFC 9649 §2.7.1.2). */
export const MAX_SIDE = 16383

const NUMBER = /^[1-9][0-9]{0,4}$/
const PRESET_NAME = /^[a-z][a-z_]*$/
const RESERVED = new Set(['original', 'box', 'inside', 'cover', 'auto', 'svg', 'jpg'])

/** Why a preset may not have this name, or undefined when it may. */
export function presetNameProblem(name: string): string | undefined {
  if (!PRESET_NAME.test(name)) return 'must be lower-case letters and underscores'
  if (RESERVED.has(name) || isFormat(name) || /^[whq]$/.test(name)) return 'is a word of the variant language'
  return undefined
}

const refuse = (text: string, why: string): never => {
  throw new ArtworkError('invalid', `variant ${JSON.stringify(text.slice(0, 80))} ${why}`)
}

/**
 * Reads the canonical text of a variant.
 * @throws ArtworkError `invalid` (400) for an unknown token and for text that is not canonical
 */
export function parseVariant(text: string, rules: VariantRules): Variant {
  const tokens = text.split('-')
  const take = (test: (token: string) => boolean): string | undefined =>
    tokens[0] !== undefined && test(tokens[0]) ? tokens.shift() : undefined
  const takeNumber = (letter: string, most: number): number | undefined => {
    const token = take((word) => word[0] === letter && NUMBER.test(word.slice(1)))
    if (token === undefined) return undefined
    const value = Number(token.slice(1))
    return value <= most ? value : refuse(text, `asks for more than ${letter}${most}`)
  }
  const named = take((word) => word === 'original' || Object.hasOwn(rules.presets, word))
  const width = named === undefined ? takeNumber('w', MAX_SIDE) : undefined
  const height = named === undefined ? takeNumber('h', MAX_SIDE) : undefined
  const cover = named === undefined && take((word) => word === 'cover') !== undefined
  const position = cover ? take(isPosition) : undefined
  const format = take((word) => word === 'auto' || isFormat(word))
  const quality = takeNumber('q', 100)
  const base = named ?? 'box'
  if (base === 'box' && width === undefined && height === undefined) refuse(text, 'is not known')
  if (cover && (width === undefined || height === undefined)) refuse(text, 'needs w and h to cover')
  if (tokens.length > 0) refuse(text, 'is not canonical')
  if (quality !== undefined && (format === 'png' || format === 'gif'))
    refuse(text, `has no quality in ${format}`)
  const variant: Variant = {
    base,
    ...(width === undefined ? {} : { width }),
    ...(height === undefined ? {} : { height }),
    cover,
    ...(position !== undefined && isPosition(position) && { position }),
    ...(format === 'auto' || (format !== undefined && isFormat(format)) ? { format } : {}),
    ...(quality === undefined ? {} : { quality }),
  }
  return formatVariant(variant, rules) === text ? variant : refuse(text, 'is not canonical')
}

/** Prints the canonical text of a variant: the inverse of {@link parseVariant}. */
export function formatVariant(variant: Variant, rules: VariantRules): string {
  return [
    variant.base === 'box' ? undefined : variant.base,
    variant.width === undefined ? undefined : `w${variant.width}`,
    variant.height === undefined ? undefined : `h${variant.height}`,
    variant.cover ? 'cover' : undefined,
    variant.position,
    variant.format,
    variant.quality === undefined || variant.quality === defaultQuality(variant, rules)
      ? undefined
      : `q${variant.quality}`,
  ]
    .filter((token) => token !== undefined)
    .join('-')
}

function defaultQuality(variant: Variant, rules: VariantRules): number {
  const format = variant.format === 'auto' ? undefined : variant.format
  return usualQuality(presetOf(variant, rules)?.quality, format, rules.encoding)
}

/** The quality that is meant where none is asked for. */
const usualQuality = (
  presetQuality: number | undefined,
  format: Format | undefined,
  encoding: Encoding,
): number =>
  presetQuality === undefined ? qualityFor(encoding, format) : equalQuality(presetQuality, format ?? 'jpeg')

function presetOf(variant: Variant, rules: VariantRules): Preset | undefined {
  return Object.hasOwn(rules.presets, variant.base) ? rules.presets[variant.base] : undefined
}

/** What has to be done for a variant, its preset looked up. `auto` must have been settled before. */
export function recipeOf(variant: Variant, rules: VariantRules): Recipe {
  const preset = presetOf(variant, rules)
  const width = preset ? preset.width : variant.width
  const height = preset ? preset.height : variant.height
  const format = variant.format === 'auto' ? undefined : (variant.format ?? preset?.format)
  const fit = preset ? (preset.fit ?? 'inside') : variant.cover ? 'cover' : 'inside'
  const position = preset ? preset.position : variant.position
  return {
    ...(width === undefined ? {} : { width }),
    ...(height === undefined ? {} : { height }),
    fit,
    // Nothing is cut off otherwise.
    ...(position !== undefined && fit === 'cover' && { position }),
    enlarge: preset?.enlarge ?? false,
    ...(format === undefined ? {} : { format }),
    ...(variant.quality === undefined ? {} : { quality: variant.quality }),
    ...(preset?.quality === undefined ? {} : { presetQuality: preset.quality }),
  }
}

/** The recipe for a source of this family: format, quality and effort settled. */
export function completeRecipe(recipe: Recipe, source: Kind, encoding: Encoding): FullRecipe {
  const { presetQuality, ...rest } = recipe
  const format = recipe.format ?? (source === 'svg' ? 'png' : source)
  const quality = recipe.quality ?? usualQuality(presetQuality, format, encoding)
  return { ...rest, format, quality, effort: effortIn(encoding, format) }
}

/** Whether two recipes make the same of the same bytes. */
export const isSameRecipe = (one: FullRecipe, other: FullRecipe): boolean =>
  one.format === other.format &&
  one.width === other.width &&
  one.height === other.height &&
  one.fit === other.fit &&
  one.position === other.position &&
  one.enlarge === other.enlarge &&
  one.quality === other.quality &&
  one.effort === other.effort

/** Efforts that are left out of the text: what was spent before there was a choice. */
const EFFORT_LEFT_OUT: Readonly<Partial<Record<Format, number>>> = { webp: 4, avif: 4, gif: 7, png: 4 }

/** A recipe as text: what a rendition of a source of this family was made by, compared when it is looked up again. */
export function recipeText(
  recipe: Recipe,
  { kind, isRevised }: { readonly kind: Kind; readonly isRevised: boolean },
  encoding: Encoding,
): string {
  const { width = 0, height = 0, fit, position, enlarge } = recipe
  const seen = position === undefined ? '' : `@${position}`
  const { format, quality, effort } = completeRecipe(recipe, kind, encoding)
  const version = PIPELINE_VERSION[isRevised ? 'revised' : 'first']
  const spent = effort === EFFORT_LEFT_OUT[format] ? '' : `:e${effort}`
  return `${version}:${width}x${height}:${fit}${enlarge ? '+' : ''}${seen}:${recipe.format ?? 'same'}:${quality}${spent}`
}

/**
 * The sides of the box that a recipe, as text, cuts to, and what stays in sight, `320x180`, `320x180@fp35x60`; undefined where it
 * cuts nothing off.
 */
export function cutOf(recipe: string | undefined): string | undefined {
  const [, box, position = ''] = /^\d+:(\d+x\d+):cover\+?(@[a-z0-9]+)?:/.exec(recipe ?? '') ?? []
  return box === undefined ? undefined : box + position
}

/** What stays in sight by a recipe as text; undefined where it does not say. */
export const positionIn = (recipe: string | undefined): string | undefined => cutOf(recipe)?.split('@', 2)[1]

/** The recipe for a picture with a focal point, which what is cut follows unless it says otherwise. */
export function withFocalPoint<R extends Recipe>(recipe: R, focalPoint: FocalPoint | undefined): R {
  const isCut = recipe.fit === 'cover' && recipe.width !== undefined && recipe.height !== undefined
  if (!isCut || recipe.position !== undefined || focalPoint === undefined) return recipe
  return { ...recipe, position: positionAt(focalPoint) }
}

/** Whether two recipes come to the same picture but for how well it is encoded: version, quality and effort. */
export const isSameLook = (one: string, other: string): boolean =>
  one.split(':').slice(1, 4).join(':') === other.split(':').slice(1, 4).join(':')

/** Whether the variant is the picture as it was fetched. */
export const isAsFetched = (variant: Variant): boolean =>
  variant.base === 'original' && variant.format === undefined && variant.quality === undefined

/** The same variant with `auto` settled to a format, or to the source's own family. */
export function settleAuto(variant: Variant, format: Format | undefined): Variant {
  const { format: _auto, ...rest } = variant
  if (format === undefined) return rest
  // What is asked for whatever the format will be is meant for JPEG and WebP.
  const { quality } = variant
  return { ...rest, format, ...(quality !== undefined && { quality: equalQuality(quality, format) }) }
}
