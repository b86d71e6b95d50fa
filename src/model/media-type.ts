/** The image formats the toolkit knows, told apart by their first bytes and never by what anybody says. */
import mime from 'mime-types'

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

/** What an upstream may declare for an image: `image/*`, octet-stream, or nothing. The bytes decide the rest. */
export function mayBeImage(declared: string | null): boolean {
  if (declared === null || declared.trim() === '') return true
  const type = declared.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return type.startsWith('image/') || type === 'application/octet-stream' || type === 'binary/octet-stream'
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
  return looksLikeSvg(bytes) ? 'svg' : undefined
}

function hasAvifBrand(bytes: Uint8Array): boolean {
  const boxSize = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0)
  const end = Math.min(boxSize, bytes.length, 256)
  const brand = (offset: number) => String.fromCharCode(...bytes.subarray(offset, offset + 4))
  if (AVIF_BRANDS.has(brand(8))) return true
  for (let offset = 16; offset + 4 <= end; offset += 4) if (AVIF_BRANDS.has(brand(offset))) return true
  return false
}

/** An SVG document: after a byte order mark, XML declaration, comments and doctype, the first element is `<svg`. */
function looksLikeSvg(bytes: Uint8Array): boolean {
  const head = new TextDecoder('utf-8', { fatal: false })
    .decode(bytes.subarray(0, 4096))
    .replace(/^\uFEFF/, '')
  let rest = head.trimStart()
  for (;;) {
    const skipped = rest.startsWith('<!--')
      ? after(rest, '-->')
      : rest.startsWith('<?')
        ? after(rest, '?>')
        : /^<!doctype\s/i.test(rest)
          ? after(rest, rest.slice(0, Math.max(0, rest.indexOf('>'))).includes('[') ? ']>' : '>')
          : undefined
    if (skipped === undefined) break
    rest = skipped.trimStart()
  }
  return /^<(?:[a-z]+:)?svg[\s>/]/i.test(rest)
}

function after(text: string, mark: string): string {
  const found = text.indexOf(mark)
  return found < 0 ? '' : text.slice(found + mark.length)
}
