/** Options that there are none of: a name that is misspelt does not pass for one that is left out. */

/** @throws TypeError that names the option, and those that there are */
export function refuseUnknown(owner: string, options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown === undefined) return
  const names = known.map((name) => `${owner}.${name}`).join(', ')
  throw new TypeError(`${owner}.${unknown} is no option: there are ${names}`)
}
