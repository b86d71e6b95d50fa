/** The image formats the toolkit knows, told apart by their first bytes and never by what anybody says. */
import mime from 'mime-types'
import { isSvg } from './svg-prolog.js'

/** A raster format that can be decoded and encoded. */
export type Format = 'jpeg' | 'png' | 'gif' | 'webp' | 'avif'

/** What a file can be: a raster format, or SVG, which is passed through and never decoded. */
export type Kind = Format | 'svg'

const KINDS = ['jpeg', 'png', 'gif', 'webp', 'avif', 'svg'] as const satisfies readonly Kind[]

/** The media type of a format, as it is sent. */
export const typeOf = (kind: Kind): string => mime.lookup(kind) || 'application/octet-stream'

/** The usual file extension of a format, without a dot. */
export const extensionOf = (kind: Kind): string => mime.extension(typeOf(kind)) || kind

const isKind = (text: string): text is Kind => KINDS.some((kind) => kind === text)

/** Whether the text names a raster format. */
export const isFormat = (text: string): text is Format => text !== 'svg' && isKind(text)

/** The format behind a media type, or undefined for one that is not ours. */
export function kindOfType(type: string): Kind | undefined {
  return KINDS.find((kind) => typeOf(kind) === type)
}

/** The format that a file extension asks for: `jpg` and `jpeg` are one. */
export function formatOfExtension(extension: string): Format | undefined {
  const lower = extension.toLowerCase()
  const name = lower === 'jpg' ? 'jpeg' : lower
  return isFormat(name) ? name : undefined
}

const essenceOf = (declared: string | null): string => declared?.split(';', 1)[0]?.trim().toLowerCase() ?? ''

/** Types of documents that stand in an image's place: a page that says why there is none. */
const isDocument = (type: string): boolean =>
  type === 'text/html' ||
  type === 'application/xhtml+xml' ||
  /^(?:application|text)\/json$/.test(type) ||
  type.endsWith('+json')

/**
 * What an upstream may declare for an image: anything but HTML and JSON, for its magic bytes decide. Storage services
 * know no better than `application/octet-stream`, `text/plain`, `image` or the type of the form that it came by.
 */
export const mayBeImage = (declared: string | null): boolean => !isDocument(essenceOf(declared))

/** What may be declared for an SVG, which has no magic bytes: an image, XML, or nothing that says what it is. */
export function mayBeSvg(declared: string | null): boolean {
  const type = essenceOf(declared)
  return (
    type === '' ||
    type === 'image' ||
    type.startsWith('image/') ||
    /^(?:application|text)\/xml$/.test(type) ||
    type.endsWith('+xml') ||
    /^(?:application|binary)\/octet-stream$/.test(type)
  )
}

const AVIF_BRANDS = new Set(['avif', 'avis'])

/**
 * The format of a file by its magic bytes, or undefined for anything that is not one of ours.
 * Sources: JFIF/ITU-T T.81, PNG §5.2, GIF89a §17, RFC 9649 (WebP), ISO 23008-12 (brands), and for SVG
 * the first element of the document.
 */
export function sniff(bytes: Uint8Array): Kind | undefined {
  const at = (offset: number, text: string) =>
    bytes.length >= offset + text.length &&
    [...text].every((char, index) => bytes[offset + index] === char.charCodeAt(0))
  if (at(0, '\xff\xd8\xff')) return 'jpeg'
  if (at(0, '\x89PNG\r\n\x1a\n')) return 'png'
  if (at(0, 'GIF87a') || at(0, 'GIF89a')) return 'gif'
  if (at(0, 'RIFF') && at(8, 'WEBP')) return 'webp'
  if (at(4, 'ftyp')) return hasAvifBrand(bytes) ? 'avif' : undefined
  return isSvg(bytes) ? 'svg' : undefined
}

function hasAvifBrand(bytes: Uint8Array): boolean {
  const boxSize = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0)
  const end = Math.min(boxSize, bytes.length, 256)
  const brand = (offset: number) => String.fromCharCode(...bytes.subarray(offset, offset + 4))
  if (AVIF_BRANDS.has(brand(8))) return true
  for (let offset = 16; offset + 4 <= end; offset += 4) if (AVIF_BRANDS.has(brand(offset))) return true
  return false
}

/** Whether bytes begin as text does: a page, or a message, whatever they were declared. */
export function isPlainText(bytes: Uint8Array): boolean {
  // The last character may be cut.
  const start = Buffer.from(bytes.subarray(0, 512))
    .toString('utf8')
    .replace(/\ufffd+$/, '')
  return !/[\p{Cc}\ufffd]/u.test(start.replace(/\s/g, ''))
}
