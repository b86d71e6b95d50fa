/** Prints elements: every value escaped, whatever it holds. */

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** A text as the value of an attribute. */
export const escapeHtml = (text: string): string =>
  /[&<>"']/.test(text) ? text.replace(/[&<>"']/g, (sign) => ENTITIES[sign] ?? '') : text

/** A text that a template has marked as safe: its entities stay as they are, and it cannot leave the attribute. */
export const escapeSafe = (text: string): string => text.replace(/[<>"']/g, (sign) => ENTITIES[sign] ?? '')

/** Attributes by name: `true` is one without a value; undefined, false and null are none. */
export type Attributes = Readonly<Record<string, string | number | boolean | null | undefined>>

/** Attributes as they stand in a tag, each with a space before it. */
export function attributesText(attributes: Attributes): string {
  let text = ''
  for (const name in attributes) {
    const value = attributes[name]
    if (value === undefined || value === null || value === false) continue
    text += value === true ? ` ${name}` : ` ${name}="${escapeHtml(String(value))}"`
  }
  return text
}

/** An element without content. */
export const voidElement = (name: string, attributes: Attributes): string =>
  `<${name}${attributesText(attributes)}>`
