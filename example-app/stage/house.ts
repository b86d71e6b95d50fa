/** The site's own pictures, drawn once into folders of its data: one that everybody sees, and some for guests alone. */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { portrait } from './pictures/portraits.js'
import { backdrop } from './pictures/scenes.js'

/** The folders. */
export interface House {
  /** Pictures of the site, `living room.jpg` among them. */
  readonly rooms: string
  /** Pictures for guests who have signed in. */
  readonly guests: string
}

/** Draws what is not there yet. */
export async function drawHouse(directory: string): Promise<House> {
  const draw = async (file: string, svg: string): Promise<void> => {
    if (existsSync(file)) return
    await writeFile(file, await sharp(Buffer.from(svg)).jpeg({ quality: 88 }).toBuffer())
  }
  const [rooms, guests] = [join(directory, 'rooms'), join(directory, 'guests')]
  for (const folder of [rooms, guests]) await mkdir(folder, { recursive: true })
  await draw(join(rooms, 'living room.jpg'), backdrop(5, 1))
  for (const index of [1, 2, 3]) await draw(join(guests, `guest-${index}.jpg`), portrait(index + 20, 1))
  return { rooms, guests }
}
