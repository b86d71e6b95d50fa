/**
 * Names of the files of uploads. A name says all that is known of a file, so that a lost index can be read back from the
 * names alone: `{namespace}/{shard}/{id}.{digest}.{width}x{height}.{extension}`.
 */
import { digestOf } from '../model/digest.js'
import { extensionOf, formatOfExtension, kindOfType, typeOf } from '../model/media-type.js'

/** What a file's name says. Sides in pixels. */
export interface UploadFacts {
  readonly namespace: string
  readonly id: string
  /** SHA-256 of the bytes, hex. */
  readonly digest: string
  readonly type: string
  readonly width: number
  readonly height: number
}

const FILE = /^([0-9a-f]{32})\.([0-9a-f]{64})\.(\d{1,9})x(\d{1,9})\.([a-z]{3,5})$/
/** Namespaces that are their own folder's name: no two of these collide where case does not count. */
const PLAIN = /^[a-z][a-z0-9_-]{0,63}$/
/** Names that Windows keeps for devices. */
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)$/
/** What begins the name of a folder that is written otherwise than its namespace, and each sign that is. */
const MARK = '='

/** The folder of a namespace: on no system do two namespaces have the same, or one that cannot be made. */
export function folderOf(namespace: string): string {
  if (PLAIN.test(namespace) && !(process.platform === 'win32' && DEVICE.test(namespace))) return namespace
  const written = namespace.replace(/[A-Z.]/g, (sign) => MARK + (sign === '.' ? '0' : sign.toLowerCase()))
  return MARK + written
}
/** The namespace of a folder; undefined for one that is none's. */
export function namespaceOf(folder: string): string | undefined {
  const namespace = folder.startsWith(MARK)
    ? folder.slice(1).replace(/=([a-z0])/g, (_all, sign: string) => (sign === '0' ? '.' : sign.toUpperCase()))
    : folder
  return folderOf(namespace) === folder ? namespace : undefined
}
/** A namespace in the name of an unfinished file, which has no room for a long one. */
export const shortNamespace = (namespace: string): string =>
  PLAIN.test(namespace) ? namespace : MARK + digestOf(Buffer.from(namespace)).slice(0, 16)
/** The name of a file. */
export const fileName = (facts: UploadFacts): string => {
  const kind = kindOfType(facts.type)
  const extension = kind === undefined ? 'bin' : extensionOf(kind)
  return `${facts.id}.${facts.digest}.${facts.width}x${facts.height}.${extension}`
}

/** What the name of a file says; undefined for one that is not ours. */
export function readFileName(namespace: string, name: string): UploadFacts | undefined {
  const [, id, digest, width, height, extension] = FILE.exec(name) ?? []
  const format = formatOfExtension(extension ?? '')
  if (id === undefined || digest === undefined || format === undefined) return undefined
  return { namespace, id, digest, type: typeOf(format), width: Number(width), height: Number(height) }
}
