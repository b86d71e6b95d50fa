/** What the pages say that a template prints is what it prints: but for digests and colours, which are those of a picture. */
import { remote, tmdb, viewsPath } from 'express-artwork'
import nunjucks from 'nunjucks'
import { expect, test } from 'vitest'
import { type Block, blocksOf, pageAt } from '../support/documents.js'
import { jpeg } from '../support/images.js'
import { startApp } from '../support/toolkit.js'

/** Digests, colours and thumbhashes apart. */
const bare = (html: string): string =>
  html
    .replace(/v=[0-9a-f]{16}/g, 'v=…')
    .replace(/#[0-9a-f]{6}(?=[";,\s&])/g, '#…')
    .replace(/(?<=data:image\/png;base64,)[\w+/=]+/g, '…')
    .replace(/(?<="thumbhash": ")[^"]+/g, '…')
    .trim()

/** A template, and the output that the page shows right after it. */
const examplesOf = (path: string): readonly { template: Block; output: Block }[] => {
  const blocks = blocksOf(pageAt(path))
  return blocks.flatMap((output, index) => {
    const template = blocks[index - 1]
    return output.language === 'html' && template?.language === 'njk' ? [{ template, output }] : []
  })
}

const ENTITIES = {
  album: {
    id: 'sunset',
    type: 'album',
    title: 'Sunset',
    image_url: 'https://cdn.example.com/sunset.jpg',
  },
  artist: { id: 'abc123', type: 'artist', name: 'Ada', image_url: 'https://cdn.example.com/ada.jpg' },
  next: { id: 'new', type: 'album', title: 'New', image_url: 'https://cdn.example.com/new.jpg' },
  empty: { id: 'none', type: 'album', title: 'Empty' },
  film: {
    id: 42,
    title: 'Night Train',
    poster_url: 'https://cdn.example.com/poster.jpg',
    backdrop_url: 'https://cdn.example.com/backdrop.jpg',
  },
  missing: null,
}

const TIDEWATER = {
  id: '7',
  type: 'album',
  title: 'Tidewater',
  image_url: 'https://cdn.example.com/7.jpg',
}

/** A site as the pages describe it. */
async function site(
  isStored: boolean,
  formats: readonly ('jpeg' | 'png' | 'gif' | 'webp' | 'avif')[],
  widths: readonly number[] | null = [320, 640, 1280],
) {
  const { artwork } = await startApp({
    sources: [tmdb(), remote({ hosts: ['cdn.example.com'] })],
    ...(widths !== null && { widths: [...widths] }),
    transform: { isolate: false, formats: [...formats] },
    entities: {
      film_poster: { variant: 'w342-h513', placeholder: 'poster', fields: { url: 'poster_url' } },
      film_backdrop: { variant: 'w1280-h720', placeholder: 'backdrop', fields: { url: 'backdrop_url' } },
    },
  })
  const store = async (kind: string, id: string | number, url: string, width: number, height: number) => {
    await artwork.images.put(
      `remote/original/${Buffer.from(url).toString('base64url')}`,
      await jpeg(width, height),
    )
    const result = await artwork.images.downloadAndCache({ sourceUrl: url, entityType: kind, entityId: id })
    expect(result.status, JSON.stringify(result)).toBe('downloaded')
  }
  const { album, artist, film } = ENTITIES
  if (isStored) {
    await store('album', album.id, album.image_url, 1600, 1067)
    await store('album', TIDEWATER.id, TIDEWATER.image_url, 1000, 1000)
    await store('artist', artist.id, artist.image_url, 600, 600)
    await store('film_poster', film.id, film.poster_url, 800, 1200)
    await store('film_backdrop', film.id, film.backdrop_url, 1280, 720)
  }
  const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader(viewsPath), { autoescape: true })
  artwork.installTemplates(environment)
  return (template: string, context: object = ENTITIES): string =>
    environment.renderString(
      `{% from "artwork/picture.njk" import img, picture, avatar, background, preload %}${template}`,
      context,
    )
}

const ALL = ['jpeg', 'png', 'gif', 'webp', 'avif'] as const

test.each([
  ['docs/pictures.md', 13],
  ['docs/filters.md', 5],
] as const)('%s', async (path, count) => {
  const render = await site(true, ALL)
  const examples = examplesOf(path)
  expect(examples.length).toBeGreaterThanOrEqual(count)
  for (const { template, output } of examples)
    expect(bare(render(template.code)), `${path}:${template.line}`).toBe(bare(output.code))
})

test('docs/tmdb.md', async () => {
  const render = await site(false, ALL, null)
  const examples = examplesOf('docs/tmdb.md')
  expect(examples.length).toBeGreaterThanOrEqual(2)
  const film = { title: 'Night Train', poster_path: '/abc.jpg' }
  for (const { template, output } of examples)
    expect(bare(render(template.code, { film })), `line ${template.line}`).toBe(bare(output.code))
})

test('the README, and docs/start.md: the first page and the next', async () => {
  const [first, next] = [
    await site(false, ['jpeg', 'png', 'gif', 'webp']),
    await site(true, ['jpeg', 'png', 'gif', 'webp']),
  ]
  const [start] = examplesOf('docs/start.md')
  const outputs = blocksOf(pageAt('docs/start.md')).filter(({ language }) => language === 'html')
  const body = (html: string): string => html.slice(html.indexOf('<picture'))
  expect(bare(body(first(start?.template.code ?? '')))).toBe(bare(outputs[0]?.code ?? ''))
  expect(bare(body(next(start?.template.code ?? '')))).toBe(bare(outputs[1]?.code ?? ''))
  const blocks = blocksOf(pageAt('README.md'))
  const template = blocks.find(({ language }) => language === 'njk')?.code ?? ''
  const [before, after] = blocks.filter(({ language }) => language === 'html')
  expect(bare(first(template, { album: TIDEWATER }))).toBe(bare(before?.code ?? ''))
  expect(bare(next(template, { album: TIDEWATER }))).toBe(bare(after?.code ?? ''))
})
