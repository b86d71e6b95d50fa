/** The name under which a client saves an image: that of its source, made safe for any file system. */
import { extensionOf, kindOfType } from './media-type.js'
import { percentDecoded } from './text.js'

/** Control characters, and marks that turn or hide text; what separates paths, or file systems do not take. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}<>:"/\\|?*]/gu
/** Names of devices on Windows. */
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)$/i
const LONGEST = 60

/**
 * A file name: the last part of a path, with the ending of the type that is sent.
 * @param path of a URL, or an id; it may be encoded
 */
export function fileNameOf(path: string, type: string): string {
  const last = percentDecoded(path.split('/').findLast((part) => part !== '') ?? '')
  const bare = last
    .replace(/\.[a-z0-9]{1,5}$/i, '')
    .replace(UNSAFE, '_')
    .replace(/^[\s.]+|[\s.]+$/g, '')
  const name = [...bare].slice(0, LONGEST).join('').trim()
  const kind = kindOfType(type)
  return `${name === '' || DEVICE.test(name) ? 'image' : name}.${kind === undefined ? 'bin' : extensionOf(kind)}`
}
