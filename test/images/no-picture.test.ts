/** A provider's own picture for none counts as none: listed by its bytes, or by what it looks like. */
import { type ArtworkOptions, createArtwork, remote } from 'express-artwork'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { anOrigin, atEnd, quietLogger, startApp, temporaryFolder } from '../support/toolkit.js'

/** A grey figure, as a provider has it in several sizes. */
const silhouette = (side: number, quality: number): Promise<Buffer> =>
  sharp(
    Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}" viewBox="0 0 100 100"><rect width="100" height="100" fill="#dfe3e8"/><circle cx="50" cy="38" r="18" fill="#9aa3ad"/><path d="M14 100a36 36 0 0 1 72 0z" fill="#9aa3ad"/></svg>`,
    ),
  )
    .jpeg({ quality })
    .toBuffer()

async function stage(noPicture: readonly string[], directory?: string) {
  const origin = await anOrigin()
  const serve = async (name: string, bytes: Buffer) => {
    origin.serve(name, image(bytes))
    return `${origin.url}${name}`
  }
  const urls = {
    none: await serve('/none.jpg', await silhouette(300, 80)),
    smaller: await serve('/smaller.jpg', await silhouette(180, 60)),
    real: await serve('/real.jpg', await jpeg(300, 300)),
  }
  const options: ArtworkOptions = {
    sources: [remote({ hosts: ['127.0.0.1'] })],
    noPicture: [...noPicture],
    fetch: { allowPrivate: [origin.host], retries: 0 },
    logger: quietLogger(),
    // Where decoding is in this process, sharp opens no SVG.
    transform: { isolate: true },
    ...(directory !== undefined && { directory }),
  }
  return { ...(await startApp(options, { origin })), urls, options }
}
const address = (url: string): string => `remote/original/${Buffer.from(url).toString('base64url')}`

/** Digest and likeness of the figure, as an app finds them out. */
async function known() {
  const { artwork, urls } = await stage([])
  const { digest, thumbhash = '' } = await artwork.images.getImage(address(urls.none))
  expect(thumbhash).not.toBe('')
  return { digest, thumbhash }
}

test('by its digest: these bytes and no others', async () => {
  const { artwork, urls, url } = await stage([(await known()).digest])
  await expect(artwork.images.getImage(address(urls.none))).rejects.toThrow(/stands for none/)
  await artwork.images.getImage(address(urls.smaller))
  await artwork.images.getImage(address(urls.real))
  const answer = await fetch(`${url}/images/${address(urls.none)}`, {
    headers: { 'Sec-Fetch-Dest': 'image' },
  })
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/svg+xml'])
  expect(artwork.images.display({ id: 'a', image_url: urls.none }, 'artist')).toMatchObject({
    url: '/static/images/placeholder-artist.svg',
    from: 'placeholder',
  })
})

test('by its ThumbHash: in every size and quality, and nothing else', async () => {
  const { artwork, urls } = await stage([(await known()).thumbhash])
  for (const url of [urls.none, urls.smaller])
    await expect(artwork.images.getImage(address(url))).rejects.toThrow(/stands for none/)
  await artwork.images.getImage(address(urls.real))
  const saved = await artwork.images.downloadAndCache({
    sourceUrl: urls.smaller,
    entityType: 'artist',
    entityId: 'a',
  })
  expect(saved.status).toBe('failed')
  expect(artwork.images.getDisplayUrl(urls.smaller, null, 'artist')).toBe(
    '/static/images/placeholder-artist.svg',
  )
})

test('what was stored before it was listed is printed as its placeholder from then on', async () => {
  const directory = await temporaryFolder()
  const { thumbhash } = await known()
  const before = await stage([], directory)
  const request = { sourceUrl: before.urls.none, entityType: 'artist', entityId: 'a' }
  await before.artwork.images.downloadAndCache(request)
  const entity = { id: 'a', type: 'artist', image_url: before.urls.none }
  expect(before.artwork.images.display(entity).from).toBe('local')
  await before.stop()
  const artwork = await createArtwork({ ...before.options, noPicture: [thumbhash] })
  atEnd(artwork.close)
  expect(artwork.images.display(entity)).toMatchObject({ from: 'placeholder', wanted: false })
  expect(artwork.images.srcset(entity)).toBe('')
  // Its record has another one now.
  const another = { ...entity, image_url: before.urls.real }
  expect(artwork.images.display(another)).toMatchObject({ url: before.urls.real, wanted: true })
})

test('what is neither is refused with its rule', async () => {
  await expect(stage(['star.png'])).rejects.toThrow(/noPicture.*SHA-256 in hex, or a ThumbHash/)
})
