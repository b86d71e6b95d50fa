/** A directory that a toolkit has worked in, with pictures, an upload and jobs, and what `doctor` is run with on it. */
import { createHash } from 'node:crypto'
import { cpSync, lstatSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createArtwork, optionsFromEnv } from 'express-artwork'
import { jpeg } from '../../support/images.js'
import { image, startOrigin } from '../../support/origin.js'
import { quietLogger, remoteAddress } from '../../support/toolkit.js'

/** The variables of a service in which nothing is wrong. */
export const variablesFor = (directory: string, host: string) => ({
  ARTWORK_DIRECTORY: directory,
  ARTWORK_REMOTE_HOSTS: '127.0.0.1',
  ARTWORK_FETCH_ALLOW_PRIVATE: host,
  ARTWORK_UPLOAD_TOKEN: 'a-token-of-uploads',
  ARTWORK_MANAGE_TOKEN: 'a-token-of-management',
  ARTWORK_DISK_MAX_BYTES: '50 MiB',
  ARTWORK_DISK_MAX_NAMES: '1000',
  NODE_ENV: 'production',
})

/** Opens a toolkit by these variables, and has it work. */
export async function workIn(
  variables: Readonly<Record<string, string>>,
  origin: Awaited<ReturnType<typeof startOrigin>>,
  now: () => number = Date.now,
) {
  const artwork = await createArtwork({
    ...optionsFromEnv(variables),
    transform: { isolate: false },
    logger: quietLogger(),
    now,
  })
  for (const seed of [1, 2, 3]) {
    origin.serve(`/${seed}.jpg`, image(await jpeg(90, 60, seed)))
    await artwork.images.getImage(remoteAddress(`${origin.url}/${seed}.jpg`, 'w320-webp'))
  }
  const stored = await artwork.uploads?.save('photos', await jpeg(50, 40, 9))
  artwork.start()
  const { id = '' } = artwork.refresher.run('verify')
  for await (const { state } of artwork.refresher.watch(id)) if (state === 'done') break
  return { artwork, stored }
}

/** Makes the directory once; each test has a copy. */
export async function makeHealthy() {
  const origin = await startOrigin()
  const made = await mkdtemp(join(tmpdir(), 'artwork-healthy-'))
  const { artwork } = await workIn(variablesFor(made, origin.host), origin)
  await artwork.close()
  return { origin, directory: made }
}

/** Copies it, rights and times too. */
export const copyInto = (from: string, folder: string): void =>
  cpSync(from, folder, { recursive: true, preserveTimestamps: true })

/** All that there is in a directory: names, rights, times and bytes. */
export function stateOf(directory: string): readonly string[] {
  const names = lstatSync(directory, { throwIfNoEntry: false })?.isDirectory()
    ? readdirSync(directory, { recursive: true, encoding: 'utf8' })
    : []
  return names.sort().map((name) => {
    const path = join(directory, name)
    const stats = lstatSync(path)
    const { mode, size, mtimeMs, ino } = stats
    // An empty file may be a lock of this process, which it would give up by closing it.
    const bytes = stats.isFile() && size > 0 ? readFileSync(path) : ''
    return [name, mode, size, mtimeMs, ino, createHash('sha256').update(bytes).digest('hex')].join(' ')
  })
}
