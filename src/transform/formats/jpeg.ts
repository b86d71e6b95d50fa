/** The markers of a JPEG (ITU-T T.81, Annex B). */

/** The facts of a JPEG. */
export interface JpegHeader {
  /** How it was coded: the last hex digit of its SOF marker. */
  readonly process: number
  /** The quality (1–100) that its quantization tables stand for, by the scale that encoders share. */
  readonly quality: number | undefined
  /** Whether only the end marker is missing: every scan that the picture needs is there, as far as the markers show. */
  readonly lacksOnlyItsEnd: boolean
}

const SOI = 0xd8
const EOI = 0xd9
const SOS = 0xda
const DQT = 0xdb
/** Start of frame: C0 to CF but DHT (C4), JPG (C8) and DAC (CC). */
const isFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc
const hasNoLength = (marker: number): boolean =>
  marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7) || marker === SOI || marker === EOI

/** Lossless and hierarchical processes, which no browser shows and libjpeg scales wrongly (T.81, Table B.1). */
const UNSUPPORTED = new Set([3, 5, 6, 7, 11, 13, 14, 15])
/** Whether a JPEG of this process can be shown. */
export const isShowable = ({ process }: JpegHeader): boolean => !UNSUPPORTED.has(process)

interface Segment {
  readonly marker: number
  /** Where its `FF` is. */
  readonly start: number
  /** Its data, without length. */
  readonly data: Buffer
  readonly end: number
}

/** The segments of a JPEG, the coded data after each SOS passed over; ends at EOI or where nothing more makes sense. */
function* segmentsOf(bytes: Buffer): Generator<Segment> {
  for (let at = 0; at + 2 <= bytes.length; ) {
    if (bytes[at] !== 0xff) return
    const marker = bytes[at + 1] ?? 0
    if (marker === 0xff) {
      at += 1
      continue
    }
    if (hasNoLength(marker)) {
      yield { marker, start: at, data: bytes.subarray(at + 2, at + 2), end: at + 2 }
      if (marker === EOI) return
      at += 2
      continue
    }
    if (at + 4 > bytes.length) return
    const end = at + 2 + bytes.readUInt16BE(at + 2)
    if (end > bytes.length) return
    yield { marker, start: at, data: bytes.subarray(at + 4, end), end }
    at = marker === SOS ? afterScan(bytes, end) : end
  }
}

/** Where the coded data that begins here ends: at a marker that is neither stuffing nor a restart. */
function afterScan(bytes: Buffer, from: number): number {
  for (
    let at = bytes.indexOf(0xff, from);
    at >= 0 && at + 1 < bytes.length;
    at = bytes.indexOf(0xff, at + 1)
  ) {
    const next = bytes[at + 1] ?? 0
    if (next !== 0 && next !== 0xff && !(next >= 0xd0 && next <= 0xd7)) return at
  }
  return bytes.length
}

/** Sum of the luminance table of T.81 Annex K, which encoders scale by their quality. */
const STANDARD_SUM = 3691

/** The quality that a luminance table stands for, by the IJG's scale. */
function qualityOf(table: Buffer, isWide: boolean): number | undefined {
  let sum = 0
  for (let index = 0; index < 64; index += 1)
    sum += (isWide ? table.readUInt16BE(index * 2) : table[index]) ?? 0
  const scale = (sum * 100) / STANDARD_SUM
  const quality = scale <= 100 ? (200 - scale) / 2 : 5000 / scale
  return Math.min(100, Math.max(1, Math.round(quality)))
}

/** Reads the markers. A file that ends as it should is not read beyond its first scan. */
export function readJpeg(bytes: Buffer): JpegHeader {
  const endsWell = bytes.length > 1 && bytes[bytes.length - 2] === 0xff && bytes[bytes.length - 1] === EOI
  let process = 0
  let quality: number | undefined
  let hasEnd = false
  const scans = new Set<number>()
  const components = new Set<number>()
  for (const { marker, data } of segmentsOf(bytes)) {
    if (isFrame(marker)) {
      process = marker & 0x0f
      for (let index = 0; index < (data[5] ?? 0); index += 1) components.add(data[6 + index * 3] ?? 0)
    }
    if (marker === DQT) {
      const isWide = ((data[0] ?? 0) & 0xf0) !== 0
      const isFirst = ((data[0] ?? 0) & 0x0f) === 0
      if (isFirst && data.length >= (isWide ? 129 : 65)) quality = qualityOf(data.subarray(1), isWide)
    }
    if (marker === EOI) hasEnd = true
    if (marker !== SOS) continue
    if (endsWell) return { process, quality, lacksOnlyItsEnd: false }
    recordScan(data, scans)
  }
  const isWhole = scans.size > 0 && [...components].every((one) => isComplete(one, process, scans))
  return { process, quality, lacksOnlyItsEnd: !hasEnd && isWhole }
}

const COEFFICIENTS = 64
const placeOf = (component: number, coefficient: number): number => component * COEFFICIENTS + coefficient

/** Records the coefficients that a scan completes (T.81 §G.1.1.1). */
function recordScan(data: Buffer, scans: Set<number>): void {
  const count = data[0] ?? 0
  if (count > 4 || data.length !== 1 + count * 2 + 3) return
  const [first = 0, last = 63, approximation = 0] = data.subarray(1 + count * 2)
  if ((approximation & 0x0f) !== 0) return
  for (let index = 0; index < count; index += 1)
    for (let coefficient = first; coefficient <= Math.min(last, 63); coefficient += 1)
      scans.add(placeOf(data[1 + index * 2] ?? 0, coefficient))
}

/** Whether the scans of a component are all there: a progressive one needs each coefficient to its last bit. */
function isComplete(component: number, process: number, scans: ReadonlySet<number>): boolean {
  const isProgressive = (process & 3) === 2
  if (!isProgressive) return scans.has(placeOf(component, 0))
  for (let coefficient = 0; coefficient < COEFFICIENTS; coefficient += 1)
    if (!scans.has(placeOf(component, coefficient))) return false
  return true
}

/** Bytes that writers put behind a file that they did not end. */
const PADDING = new Set([0x00, 0x0a, 0x0d, 0x20])

/** The file without what may have been put behind it. */
export function withoutPadding(bytes: Buffer): Buffer {
  let end = bytes.length
  while (end > 0 && PADDING.has(bytes[end - 1] ?? 1)) end -= 1
  return bytes.subarray(0, end)
}

/** The file with the end marker that it lacks. */
export function withEnd(bytes: Buffer): Buffer {
  const whole = bytes[bytes.length - 1] === 0xff ? bytes.subarray(0, -1) : bytes
  return Buffer.concat([whole, Buffer.from([0xff, EOI])])
}

const APP0 = 0xe0
const APP2 = 0xe2
const APP14 = 0xee
const COMMENT = 0xfe
/** A JFIF segment without thumbnail, and an Adobe segment, of their own lengths: more in them is metadata. */
const JFIF_LENGTH = 14
const ADOBE_LENGTH = 12
const isMetadata = ({ marker, data }: Segment): boolean => {
  const begins = (text: string): boolean => data.toString('latin1', 0, text.length) === text
  // Comments, and segments that are not used (JPG0 to JPG13).
  if (marker === COMMENT || (marker >= 0xf0 && marker <= 0xfd)) return true
  if (marker < APP0 || marker > 0xef) return false
  if (marker === APP0) return !(begins('JFIF') && data.length === JFIF_LENGTH)
  if (marker === APP2) return !begins('ICC_PROFILE')
  return !(marker === APP14 && begins('Adobe') && data.length === ADOBE_LENGTH)
}

/**
 * The same picture without Exif, XMP, comments, thumbnails, and what follows its end (a gain map, another picture).
 * Undefined where metadata cannot be separated.
 */
export function stripJpeg(bytes: Buffer): Buffer | undefined {
  const pieces: Buffer[] = []
  let from = 0
  for (const segment of segmentsOf(bytes)) {
    // It describes the colours, and more.
    if (segment.marker === APP14 && segment.data.length > ADOBE_LENGTH) return undefined
    if (isMetadata(segment)) {
      pieces.push(bytes.subarray(from, segment.start))
      from = segment.end
    }
    if (segment.marker === EOI) {
      pieces.push(bytes.subarray(from, segment.end))
      return Buffer.concat(pieces)
    }
  }
  return undefined
}
