/** Each helper beside what it prints. */
import type { ArtworkHtml } from 'express-artwork'
import type { Environment } from 'nunjucks'
import type { Records } from './stage/database.js'

/** Calls, as a template writes them. */
const CALLS: readonly (readonly [name: string, call: string])[] = [
  ['One picture', "{{ img(album, album.name, sizes='auto, 340px') }}"],
  ['A source for each format', "{{ picture(album, album.name, sizes='auto, 340px') }}"],
  [
    'A box of its own',
    "{{ picture(film, film.name, kind='film_backdrop', ratio='1/1', sizes='auto, 340px') }}",
  ],
  ['A fixed width, by density', '{{ img(artist, artist.name, width=120) }}'],
  [
    'Another cut for narrow screens',
    "{{ picture(film, film.name, kind='film_backdrop', sizes='auto, 340px', sources=[{ media: '(width < 600px)', kind: 'film_poster', sizes: '340px' }]) }}",
  ],
  [
    'Blurred until it comes',
    "{{ img(playlist, playlist.name, placeholder='thumbhash', sizes='auto, 340px') }}",
  ],
  ['Nothing to show', "{{ img({ id: 'nobody' }, 'Nobody', kind='artist', width=120) }}"],
  ['An avatar', '{{ avatar(artist, artist.name, size=64) }}'],
  [
    'A background',
    '<div class="fill" style="{{ background(film, kind=\'film_backdrop\', width=340) }}"></div>',
  ],
  ['In the head of a page', '{{ preload(album, picture=true, sizes="340px") | forceescape }}'],
  ['A filter: the URL', '{{ album | image_display_url }}'],
  ['A filter: candidates', '{{ album | image_srcset }}'],
]

/** A helper, its output, and what is said of its cost until the browser knows. */
export interface ShownHelper {
  readonly name: string
  readonly call: string
  readonly html: string
  readonly cost: string
}

/** Renders every call. */
export function shownHelpers(
  environment: Environment,
  html: ArtworkHtml,
  records: Records,
): readonly ShownHelper[] {
  const [album] = records.albums()
  const [film] = records.films()
  const [artist] = records.artists()
  const [playlist] = records.playlists()
  const imports = '{% from "artwork/picture.njk" import img, picture, avatar, background, preload %}'
  const inCode: ShownHelper = {
    name: 'In code, and in other template engines',
    call: 'artwork.html.avatar(artist, { alt: artist.name, size: 120 })',
    html: `${html.avatar(artist, { alt: artist?.name ?? '', size: 120 })}`,
    cost: 'not loaded yet',
  }
  const printed = CALLS.map(([name, call]) => ({
    name,
    call,
    html: environment.renderString(imports + call, { album, film, artist, playlist }),
    cost: /\b(?:img|picture|avatar|background)\(/.test(call)
      ? 'not loaded yet'
      : 'no picture is loaded for it',
  }))
  return [...printed, inCode]
}
