/**
 * Bytes and loss of what ipx and eleventy-img give for the same pictures and widths, beside ours: each as it comes by its
 * defaults, and ours at the quality that loses no more than they do. They and we encode with the same release of sharp.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Artwork, remote } from 'express-artwork'
import sharp from 'sharp'
import { importPeer } from './peers.js'
import { MADE_PICTURES } from './pictures.js'
import { mean, sum } from './quality-measure.js'
import { needScoringTools, scores } from './scores.js'
import { benchArtwork } from './support.js'

const WIDTHS = [320, 640]
const EVEN = 4
const FORMATS = ['jpeg', 'webp', 'avif'] as const
type Format = (typeof FORMATS)[number]
/** What sharp, and so both of them, takes when nobody says otherwise: where the search for our equal begins. */
const PEERS_QUALITY: Readonly<Record<Format, number>> = { jpeg: 80, webp: 80, avif: 50 }
const MOST_STEPS = 12

/** Gives a picture in a width and a format, as a page would offer it. */
type Contender = (picture: string, width: number, format: Format) => Promise<Buffer>

/** The originals: files of a folder, JPEGs as a camera writes them. */
interface Originals {
  readonly folder: string
  readonly names: readonly string[]
}

async function paintAll(): Promise<Originals> {
  const folder = await mkdtemp(join(tmpdir(), 'artwork-bytes-'))
  const names: string[] = []
  for (const picture of MADE_PICTURES) {
    const name = `${picture.name.replace(/[^a-z0-9]+/gi, '-').toLowerCase()}.jpg`
    // Sides that come out even in both widths: how a fraction of a pixel is rounded is not what is compared.
    const { data, info } = await (await picture.paint())
      .png({ compressionLevel: 0 })
      .toBuffer({ resolveWithObject: true })
    const [width, height] = [info.width - (info.width % EVEN), info.height - (info.height % EVEN)]
    const painted = sharp(data).extract({ left: 0, top: 0, width, height })
    await painted.jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toFile(join(folder, name))
    names.push(name)
  }
  return { folder, names }
}

async function ipx({ folder }: Originals): Promise<Contender> {
  const { createIPX, ipxFSStorage } = await importPeer('ipx', 'ipx/dist/index.mjs')
  const make = createIPX({ storage: ipxFSStorage({ dir: folder }) })
  return async (picture, width, format) =>
    (await make(picture, { width: String(width), format }).process()).data
}

async function eleventyImage({ folder }: Originals): Promise<Contender> {
  const { default: image } = await importPeer('eleventy-img', '@11ty/eleventy-img/img.js')
  return async (picture, width, format) => {
    const made = await image(join(folder, picture), { widths: [width], formats: [format], dryRun: true })
    return made[format][0].buffer
  }
}

/** Ours, by the defaults or by a quality. */
const ours =
  (artwork: Artwork, quality?: number): Contender =>
  async (picture, width, format) => {
    const variant = `w${width}-${format}${quality === undefined ? '' : `-q${quality}`}`
    return (await artwork.images.getImage(`remote/${variant}/${idOf(picture)}`)).bytes
  }
const idOf = (picture: string): string =>
  Buffer.from(`https://cdn.example.com/${picture}`).toString('base64url')

/** What a contender's files weigh and lose, over all pictures and widths. */
interface Outcome {
  readonly bytes: number
  /** SSIMULACRA, the mean. */
  readonly loss: number
}

async function outcomeOf(
  contender: Contender,
  { folder, names }: Originals,
  format: Format,
): Promise<Outcome> {
  const bytes: number[] = []
  const pairs: { reference: string; candidate: string }[] = []
  for (const name of names)
    for (const width of WIDTHS) {
      const made = await contender(name, width, format)
      const metadata = await sharp(made).metadata()
      if (metadata.width !== width) throw new Error(`${name} is ${metadata.width} pixels wide, not ${width}`)
      const [reference, candidate] = ['reference', 'candidate'].map((what) =>
        join(folder, `${what}-${name}-${width}.png`),
      ) as [string, string]
      await sharp(join(folder, name))
        .png({ compressionLevel: 0 })
        .toBuffer()
        .then((whole) => sharp(whole).resize({ width }).png({ compressionLevel: 0 }).toFile(reference))
      await sharp(made).png({ compressionLevel: 0 }).toFile(candidate)
      bytes.push(made.length)
      pairs.push({ reference, candidate })
    }
  const found = await scores(pairs)
  return { bytes: sum(bytes), loss: mean(found.map(({ ssimulacra }) => ssimulacra)) }
}

/** Ours at the lowest quality that loses no more than a peer. */
async function equal(artwork: Artwork, originals: Originals, format: Format, peer: Outcome) {
  let best: { readonly quality: number; readonly outcome: Outcome } | undefined
  let quality = PEERS_QUALITY[format]
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const outcome = await outcomeOf(ours(artwork, quality), originals, format)
    const isEnough = outcome.loss <= peer.loss
    if (isEnough) best = { quality, outcome }
    // Up until it is enough; then down while it still is.
    if (isEnough && step > 0 && quality > PEERS_QUALITY[format]) break
    if (!isEnough && best !== undefined) break
    quality += isEnough ? -1 : 1
  }
  return best
}

const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(0)} kB`
const percent = (ratio: number): string =>
  `${ratio <= 1 ? '−' : '+'}${Math.abs((ratio - 1) * 100).toFixed(1)} %`

/** Prints the table. */
export async function benchBytes(): Promise<void> {
  await needScoringTools()
  const originals = await paintAll()
  const { artwork, end } = await benchArtwork({
    sources: [remote({ hosts: ['cdn.example.com'] })],
    transform: { formats: ['jpeg', 'png', 'gif', 'webp', 'avif'] },
  })
  try {
    for (const name of originals.names)
      await artwork.images.put(`remote/original/${idOf(name)}`, await readFile(join(originals.folder, name)))
    const peers = { ipx: await ipx(originals), 'eleventy-img': await eleventyImage(originals) }
    console.log(
      `bytes: ${originals.names.length} pictures at ${WIDTHS.join(' and ')} pixels, the loss by SSIMULACRA (0 is none), sharp ${sharp.versions.sharp}`,
    )
    console.log('| format | ours | ipx | eleventy-img | ours, no more loss than ipx | than eleventy-img |')
    console.log('| --- | ---: | ---: | ---: | ---: | ---: |')
    for (const format of FORMATS) {
      const own = await outcomeOf(ours(artwork), originals, format)
      const theirs: Outcome[] = []
      const equals: string[] = []
      for (const contender of Object.values(peers)) {
        const outcome = await outcomeOf(contender, originals, format)
        theirs.push(outcome)
        const found = await equal(artwork, originals, format, outcome)
        equals.push(
          found === undefined
            ? 'none found'
            : `${percent(found.outcome.bytes / outcome.bytes)} (q${found.quality}, ${found.outcome.loss.toFixed(4)})`,
        )
      }
      const cells = [own, ...theirs].map(({ bytes, loss }) => `${kilobytes(bytes)}, ${loss.toFixed(4)}`)
      console.log(`| ${[format, ...cells, ...equals].join(' | ')} |`)
    }
  } finally {
    await end()
    await rm(originals.folder, { recursive: true, force: true })
  }
}
