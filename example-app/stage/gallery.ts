/**
 * Every original of the pretend CDN. Each is drawn once and kept in a folder with its version, so that a second
 * start draws nothing; a changed picture is the next version under the same name.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { cover } from './pictures/covers.js'
import { die } from './pictures/draw.js'
import { collage } from './pictures/more-covers.js'
import { portrait } from './pictures/portraits.js'
import { backdrop, poster } from './pictures/scenes.js'
import { ARTISTS, FILMS, PLAYLISTS } from './seed.js'

/** A picture as the CDN has it. */
export interface Picture {
  readonly bytes: Buffer
  readonly etag: string
  readonly modified: string
}

/** See the top of the file. */
export interface Gallery {
  find(path: string): Picture | undefined
  /** Draws the next version. */
  change(path: string): Promise<void>
}

type Draw = (version: number) => Promise<Buffer> | Buffer

/** Part of each file's name: raised when the way of drawing changes. */
const REVISION = 3
const FILE = /^([a-z]+-[a-z0-9]+)\.(\d+)\.(\d+)\.jpg$/
const GRAIN = 256

/** Everything there is to draw: the path of each original, and how it is drawn in a version. */
function drawings(): ReadonlyMap<string, Draw> {
  const svg =
    (draw: (seed: number, version: number) => string, seed: number): Draw =>
    (version) =>
      Buffer.from(draw(seed, version))
  const albums = ARTISTS.flatMap((artist) => artist.albums.map(([id]): string => id))
  const small = (id: string, version: number) =>
    sharp(Buffer.from(cover(albums.indexOf(id), version)))
      .png()
      .toBuffer()
  return new Map<string, Draw>([
    ...ARTISTS.map(({ id }, index) => [`/artists/${id}.jpg`, svg(portrait, index)] as const),
    ...albums.map((id, index) => [`/albums/${id}.jpg`, svg(cover, index)] as const),
    ...PLAYLISTS.map(({ id, albums: chosen }, index) => {
      const draw: Draw = async (version) =>
        collage(
          await Promise.all(chosen.map((album) => small(album, 0))),
          die(index * 19 + 5 + version),
          index + version,
        )
      return [`/playlists/${id}.jpg`, draw] as const
    }),
    ...FILMS.flatMap(({ id }, index) => [
      [`/films/${id}p.jpg`, svg(poster, index)] as const,
      [`/films/${id}b.jpg`, svg(backdrop, index)] as const,
    ]),
  ])
}

const fileOf = (path: string, version: number): string =>
  `${path.slice(1, -4).replace('/', '-')}.${REVISION}.${version}.jpg`

/** Paper grain: the same for everything, and hardly seen. */
function grain(): Buffer {
  const roll = die(7)
  const pixels = Buffer.alloc(GRAIN * GRAIN * 4)
  for (let at = 0; at < pixels.length; at += 4) {
    pixels.fill(roll.whole(0, 255), at, at + 3)
    pixels[at + 3] = 15
  }
  return pixels
}

/** Opens the folder, and draws what is not in it. */
export async function openGallery(directory: string): Promise<Gallery> {
  await mkdir(directory, { recursive: true })
  const draw = drawings()
  const versions = new Map<string, number>()
  const pictures = new Map<string, Picture>()
  for (const name of await readdir(directory)) {
    const [, key = '', revision, version] = FILE.exec(name) ?? []
    const path = `/${key.replace('-', '/')}.jpg`
    if (Number(revision) === REVISION) versions.set(path, Math.max(Number(version), versions.get(path) ?? 0))
  }
  const paper = grain()
  const paint = async (made: Buffer): Promise<Buffer> =>
    sharp(made)
      .composite([
        {
          input: paper,
          raw: { width: GRAIN, height: GRAIN, channels: 4 },
          tile: true,
          blend: 'over',
        },
      ])
      .jpeg({ quality: 88 })
      .toBuffer()

  const load = async (path: string, version: number): Promise<void> => {
    const file = join(directory, fileOf(path, version))
    const [bytes, { mtime }] = await Promise.all([readFile(file), stat(file)])
    const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 20)}"`
    pictures.set(path, { bytes, etag, modified: mtime.toUTCString() })
  }
  const create = async (path: string, version: number): Promise<void> => {
    const made = await draw.get(path)?.(version)
    if (made === undefined) return
    const file = join(directory, fileOf(path, version))
    await writeFile(`${file}.part`, await paint(made))
    await rename(`${file}.part`, file)
    await load(path, version)
    versions.set(path, version)
  }
  await Promise.all(
    [...draw.keys()].map((path) => {
      const version = versions.get(path)
      return version === undefined ? create(path, 0) : load(path, version)
    }),
  )
  return {
    find: (path) => pictures.get(path),
    change: async (path) => {
      const version = versions.get(path)
      if (version === undefined) return
      await create(path, version + 1)
      await rm(join(directory, fileOf(path, version)), { force: true })
    },
  }
}
