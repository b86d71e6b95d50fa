/** What of a picture stays in sight where it is cut to a shape. */

/** A point of a picture, in whole per cent of its width and height, from its upper left corner. */
export interface FocalPoint {
  /** Per cent of the width, 0 to 100. */
  readonly x: number
  /** Per cent of the height, 0 to 100. */
  readonly y: number
}

/** `attention`: where the eye goes, as libvips finds it; `fp35x60`: about a point, in per cent of width and height. */
export type Position = 'attention' | `fp${number}x${number}`

const POINT = /^fp(0|[1-9][0-9]?|100)x(0|[1-9][0-9]?|100)$/

/** Whether a text is a position, as it stands in a variant. */
export const isPosition = (text: string): text is Position => text === 'attention' || POINT.test(text)

/** The position of a point. */
export const positionAt = ({ x, y }: FocalPoint): Position => `fp${x}x${y}`

/** The point of a position; undefined for one that is none. */
export function pointOf(position: Position): FocalPoint | undefined {
  const [, x, y] = POINT.exec(position) ?? []
  return x === undefined || y === undefined ? undefined : { x: Number(x), y: Number(y) }
}

/** Whether a value is a point. */
export function isFocalPoint(value: unknown): value is FocalPoint {
  if (typeof value !== 'object' || value === null) return false
  const isShare = (one: unknown): boolean => Number.isInteger(one) && Number(one) >= 0 && Number(one) <= 100
  return isShare(Reflect.get(value, 'x')) && isShare(Reflect.get(value, 'y'))
}
