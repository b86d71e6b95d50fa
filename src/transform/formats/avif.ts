/** The boxes of an AVIF (ISO 14496-12, ISO 23008-12, the AV1 Image File Format). */

/** The facts of an AVIF's primary item. */
export interface AvifHeader {
  /** Bits a sample, where a box has them. */
  readonly depth: number | undefined
  readonly hasAlpha: boolean
  /** Pictures that follow each other in time; a collection of pictures is one, its primary item. */
  readonly frames: number
  /** Code points of ITU-T H.273, where a `colr` box has them. */
  readonly nclx: { readonly primaries: number; readonly transfer: number } | undefined
  /** The ICC profile of a `colr` box, which comes before code points. */
  readonly profile: Buffer | undefined
  /** Whether an item of it is Exif or XMP, or may be. */
  readonly hasMetadata: boolean
}

interface Box {
  readonly type: string
  readonly start: number
  readonly content: number
  readonly end: number
}

function* boxesOf(bytes: Buffer, from: number, to: number): Generator<Box> {
  for (let at = from; at + 8 <= to; ) {
    const size = bytes.readUInt32BE(at)
    const type = bytes.toString('latin1', at + 4, at + 8)
    const isLarge = size === 1 && at + 16 <= to
    const length = isLarge ? Number(bytes.readBigUInt64BE(at + 8)) : size === 0 ? to - at : size
    const content = at + (isLarge ? 16 : 8)
    if (length < content - at) return
    const end = Math.min(to, at + length)
    yield { type, start: at, content, end }
    at = end
  }
}
const find = (bytes: Buffer, type: string, from: number, to: number): Box | undefined => {
  for (const box of boxesOf(bytes, from, to)) if (box.type === type) return box
  return undefined
}
/** Version and flags come before the content of a full box. */
const FULL = 4

/** Entries of an association box that are read at most: a file of one picture has few. */
const MOST_ENTRIES = 4096

/** The properties of each item, in the order of their associations. */
function propertiesIn(bytes: Buffer, meta: Box): ReadonlyMap<number, readonly Box[]> {
  const found = new Map<number, Box[]>()
  const iprp = find(bytes, 'iprp', meta.content + FULL, meta.end)
  const ipco = iprp && find(bytes, 'ipco', iprp.content, iprp.end)
  if (iprp === undefined || ipco === undefined) return found
  const properties = [...boxesOf(bytes, ipco.content, ipco.end)]
  for (const ipma of boxesOf(bytes, iprp.content, iprp.end)) {
    if (ipma.type !== 'ipma') continue
    const version = bytes[ipma.content] ?? 0
    const isWide = ((bytes[ipma.content + 3] ?? 0) & 1) === 1
    let at = ipma.content + FULL
    const count = Math.min(bytes.readUInt32BE(at), MOST_ENTRIES)
    at += 4
    for (let entry = 0; entry < count && at + 5 <= ipma.end; entry += 1) {
      const id = version < 1 ? bytes.readUInt16BE(at) : bytes.readUInt32BE(at)
      at += version < 1 ? 2 : 4
      const associations = bytes[at] ?? 0
      at += 1
      const own = found.get(id) ?? []
      found.set(id, own)
      for (let index = 0; index < associations && at < ipma.end; index += 1) {
        const place = isWide ? bytes.readUInt16BE(at) & 0x7fff : (bytes[at] ?? 0) & 0x7f
        at += isWide ? 2 : 1
        const property = properties[place - 1]
        if (property !== undefined) own.push(property)
      }
    }
  }
  return found
}

function primaryOf(bytes: Buffer, meta: Box): number {
  const pitm = find(bytes, 'pitm', meta.content + FULL, meta.end)
  if (pitm === undefined) return 0
  const version = bytes[pitm.content] ?? 0
  return version === 0 ? bytes.readUInt16BE(pitm.content + FULL) : bytes.readUInt32BE(pitm.content + FULL)
}

/** Whether another item is the alpha plane of one: an auxiliary of this type, referred to it by `auxl`. */
function hasAlphaOf(
  bytes: Buffer,
  meta: Box,
  item: number,
  properties: ReadonlyMap<number, readonly Box[]>,
): boolean {
  const iref = find(bytes, 'iref', meta.content + FULL, meta.end)
  if (iref === undefined) return false
  const idSize = (bytes[iref.content] ?? 0) === 0 ? 2 : 4
  const readId = (at: number): number => (idSize === 2 ? bytes.readUInt16BE(at) : bytes.readUInt32BE(at))
  let left = MOST_ENTRIES
  for (const reference of boxesOf(bytes, iref.content + FULL, iref.end)) {
    if (reference.type !== 'auxl') continue
    const count = Math.min(bytes.readUInt16BE(reference.content + idSize), left)
    left -= count + 1
    if (left <= 0) return false
    const isOurs = Array.from({ length: count }, (_, index) =>
      readId(reference.content + idSize + 2 + index * idSize),
    ).includes(item)
    if (!isOurs) continue
    const own = properties.get(readId(reference.content)) ?? []
    const isAlpha = own.some(
      ({ type, content, end }) =>
        type === 'auxC' && bytes.toString('latin1', content, end).includes(':alpha'),
    )
    if (isAlpha) return true
  }
  return false
}

const CONTAINERS = new Set(['trak', 'mdia', 'minf', 'stbl'])

/** Samples of the longest track of pictures; 0 where there is none. */
function samplesIn(bytes: Buffer, from: number, to: number): number {
  let most = 0
  for (const { type, content, end } of boxesOf(bytes, from, to)) {
    if (CONTAINERS.has(type)) most = Math.max(most, samplesIn(bytes, content, end))
    if (type === 'stsz' && content + 12 <= end) most = Math.max(most, bytes.readUInt32BE(content + 8))
  }
  return most
}

const isSequence = (bytes: Buffer): boolean => {
  const ftyp = find(bytes, 'ftyp', 0, bytes.length)
  return ftyp !== undefined && bytes.subarray(ftyp.content, ftyp.end).includes('avis')
}

const UNKNOWN: AvifHeader = {
  depth: undefined,
  hasAlpha: false,
  frames: 1,
  nclx: undefined,
  profile: undefined,
  hasMetadata: true,
}
/** Types of items that are metadata. */
const METADATA_ITEMS = ['Exif', 'mime', 'uri ']

const MAJOR_BRAND = 8
const FIRST_COMPATIBLE_BRAND = 16
/** Brands of files with tracks. */
const SEQUENCE_BRANDS = new Set(['avis', 'msf1', 'iso8'])

/**
 * A sequence as the still picture that its primary item is: libvips knows no sequences. Its brands are those of a still
 * picture, and its tracks are free space.
 */
export function asStill(bytes: Buffer): Buffer {
  if (!isSequence(bytes)) return bytes
  const changed = Buffer.from(bytes)
  const ftyp = find(bytes, 'ftyp', 0, bytes.length)
  for (const at of brandsOf(ftyp)) {
    const brand = bytes.toString('latin1', at, at + 4)
    if (SEQUENCE_BRANDS.has(brand)) changed.write('avif', at, 'latin1')
  }
  const moov = find(bytes, 'moov', 0, bytes.length)
  if (moov !== undefined) changed.write('free', moov.start + 4, 'latin1')
  return changed
}

/** Where the brands of a file are. */
function* brandsOf(ftyp: Box | undefined): Generator<number> {
  if (ftyp === undefined) return
  yield MAJOR_BRAND
  for (let at = FIRST_COMPATIBLE_BRAND; at + 4 <= ftyp.end; at += 4) yield at
}

/** Reads the boxes. Nothing is known of damaged ones: the decoder finds what is wrong. */
export function readAvif(bytes: Buffer): AvifHeader {
  try {
    return read(bytes)
  } catch {
    return UNKNOWN
  }
}

function read(bytes: Buffer): AvifHeader {
  const moov = isSequence(bytes) ? find(bytes, 'moov', 0, bytes.length) : undefined
  const frames = Math.max(1, moov === undefined ? 1 : samplesIn(bytes, moov.content, moov.end))
  const meta = find(bytes, 'meta', 0, bytes.length)
  if (meta === undefined) return { ...UNKNOWN, frames }
  const item = primaryOf(bytes, meta)
  let depth: number | undefined
  let nclx: AvifHeader['nclx']
  let profile: Buffer | undefined
  const properties = propertiesIn(bytes, meta)
  for (const { type, content, end } of properties.get(item) ?? []) {
    // Bits high_bitdepth and twelve_bit of the configuration record.
    const flags = bytes[content + 2] ?? 0
    if (type === 'av1C') depth = (flags & 0x40) === 0 ? 8 : (flags & 0x20) === 0 ? 10 : 12
    if (type === 'pixi') depth ??= bytes[content + 5]
    if (type !== 'colr') continue
    const kind = bytes.toString('latin1', content, content + 4)
    if (kind === 'nclx')
      nclx = { primaries: bytes.readUInt16BE(content + 4), transfer: bytes.readUInt16BE(content + 6) }
    if (kind === 'prof' || kind === 'rICC') profile = bytes.subarray(content + 4, end)
  }
  const items = find(bytes, 'iinf', meta.content + FULL, meta.end)
  const hasMetadata =
    items === undefined ||
    METADATA_ITEMS.some((type) => bytes.subarray(items.content, items.end).includes(type))
  return { depth, hasAlpha: hasAlphaOf(bytes, meta, item, properties), frames, nclx, profile, hasMetadata }
}
