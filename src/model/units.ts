/** Sizes and durations: a number in the base unit, or text with a unit (`'10 MiB'`, `'30 s'`). */

/** Units of time, in ms. */
export const DURATIONS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1e3,
  m: 6e4,
  min: 6e4,
  h: 36e5,
  d: 864e5,
}

/** Units of size, in bytes. */
export const SIZES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
}

/** How text with one of the units looks. */
export const unitPattern = (units: Readonly<Record<string, number>>): RegExp =>
  new RegExp(`^(\\d+(?:\\.\\d+)?) ?(${Object.keys(units).join('|')})$`)

/** The value in the base unit, or undefined for anything that is neither a number of it nor text with a unit. */
export function readMeasure(value: unknown, units: Readonly<Record<string, number>>): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value : undefined
  if (typeof value !== 'string') return undefined
  const match = unitPattern(units).exec(value)
  if (match === null) return undefined
  const [, amount = '0', unit = ''] = match
  return Math.round(Number(amount) * (units[unit] ?? 1))
}
