/** Pictures made by the toolkit, by its public verbs: bytes are kept as an original, and asked for in a variant. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ArtworkOptions, createArtwork, remote } from 'express-artwork'

/** A toolkit with all formats, that decodes in this process. */
export async function createRenderer(options: ArtworkOptions = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'artwork-'))
  const artwork = await createArtwork({
    directory,
    sources: [remote({ hosts: ['pictures.example'] })],
    ...options,
    transform: {
      isolate: false,
      formats: ['jpeg', 'png', 'gif', 'webp', 'avif'],
      queue: 5000,
      ...options.transform,
    },
  })
  let count = 0
  /** The id of a new original. */
  const keep = async (bytes: Uint8Array): Promise<string> => {
    count += 1
    const id = Buffer.from(`http://pictures.example/${count}`).toString('base64url')
    await artwork.images.put(`remote/original/${id}`, bytes)
    return id
  }
  return {
    artwork,
    keep,
    /** What a picture looks like in a variant. @throws ArtworkError */
    render: async (bytes: Uint8Array, variant: string, about: { accept?: string } = {}) =>
      artwork.images.getImage(`remote/${variant}/${await keep(bytes)}`, about),
    close: async () => {
      await artwork.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
