/** `Vary` (RFC 9110 §12.5.5): the request fields that an answer was chosen by, so that caches tell answers apart. */

/** Chosen by what the client accepts: the format of an image, or a page instead of plain text. */
export const VARY_ACCEPT = 'Accept'
/** Chosen by the page's origin: whether it may read the answer. */
export const VARY_ORIGIN = 'Origin'

/** Joins names of request fields. @returns the field, or nothing where an answer is the same for everybody */
export function varyBy(...names: readonly (string | undefined)[]): Readonly<Record<string, string>> {
  const value = names.filter(Boolean).join(', ')
  return value === '' ? {} : { Vary: value }
}

/** The names in a field, without one of them. */
export const withoutName = (vary: string | undefined, name: string): readonly string[] =>
  (vary ?? '').split(', ').filter((other) => other !== '' && other !== name)
