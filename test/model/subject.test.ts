/** Subjects in the shapes that ORMs and template engines have them in. */

import nunjucks from 'nunjucks'
import { describe, expect, test } from 'vitest'
import { settleKinds } from '#src/model/entity.js'
import { readSubject } from '#src/model/subject.js'
import { idOf, textOf } from '#src/model/text.js'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { startApp } from '../support/toolkit.js'

const kinds = settleKinds({})
const URL_TEXT = 'https://images.example/p.jpg'

/** As an ORM's model is: fields are getters of the prototype, and the values are elsewhere. */
class Model {
  constructor(private readonly values: Readonly<Record<string, unknown>>) {}
  get id() {
    return this.values.id
  }
  get image_url() {
    return this.values.image_url
  }
  get image_path(): unknown {
    throw new Error('not loaded')
  }
  get spotify_id() {
    return this.values.spotify_id
  }
}
class ObjectId {
  constructor(private readonly hex: string) {}
  toString() {
    return this.hex
  }
}

describe('what a subject is read from (mended 7)', () => {
  test('getters of a prototype, one of which throws', () => {
    const subject = readSubject(new Model({ id: 7, image_url: URL_TEXT }), 'artist', kinds)
    expect(subject).toMatchObject({ id: 7, sourceUrl: URL_TEXT, localPath: undefined })
  })
  test('an id that is an object with a text form', () => {
    expect(readSubject({ id: new ObjectId('abc123'), image_url: URL_TEXT }, 'artist', kinds).id).toBe(
      'abc123',
    )
    for (const none of [{}, [], new Date(), new Map(), null, undefined, '', ' ', () => 1, Symbol('x'), true])
      expect(idOf(none)).toBeUndefined()
  })
  test('a URL object, a String, a text with white space at its ends', () => {
    for (const given of [new URL(URL_TEXT), new String(URL_TEXT), ` ${URL_TEXT}\n`])
      for (const subject of [given, { id: 1, image_url: given }])
        expect(readSubject(subject, 'artist', kinds).sourceUrl).toBe(URL_TEXT)
    expect(readSubject({ id: ' a1  ', entity_type: ' artist ' }, undefined, kinds)).toMatchObject({
      id: ' a1  ',
    })
    expect(readSubject({ id: 1, entity_type: ' artist ' }, undefined, kinds).kind?.kind).toBe('artist')
    expect(textOf('  ')).toBeUndefined()
  })
  test('nothing of another shape throws', () => {
    const proxy = new Proxy(
      {},
      {
        get: () => {
          throw new Error('no')
        },
        has: () => {
          throw new Error('no')
        },
      },
    )
    for (const given of [undefined, null, 1, true, [], () => {}, Object.create(null)])
      expect(readSubject(given, 'artist', kinds).sourceUrl).toBeUndefined()
    expect(readSubject(proxy, 'artist', kinds).sourceUrl).toBeUndefined()
  })
})

describe('in templates and jobs (mended 7)', () => {
  test('what is marked as safe is a text: as subject, variant, kind and alt', async () => {
    const app = await startApp({ widths: [300] })
    const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader('views'))
    app.artwork.installTemplates(environment)
    const source = `${app.origin.url}/p.jpg`
    const render = (template: string, more: object = {}) =>
      environment.renderString(template, { source, ...more })
    const plain = render("{{ source | image_url('w300') }}")
    expect(plain).toContain('/images/remote/w300/')
    for (const template of [
      "{{ source | safe | image_url('w300') }}",
      "{{ source | escape | image_url('w300') }}",
      "{{ source | image_url('w300' | safe) }}",
      '{% macro url() %}{{ source }}{% endmacro %}{{ source | image_url("w300") }}',
      '{% set url %}{{ source }}{% endset %}{{ url | image_url("w300") }}',
      '{{ ("  " + source + " ") | image_url(" w300 ") }}',
    ])
      expect(render(template), template).toBe(plain)
    expect(render("{{ source | image_display_url('artist' | safe) }}")).toBe(source)
    expect(render("{{ {} | image_display_url('artist' | safe) }}")).toContain('placeholder-artist')
    expect(render("{% from 'artwork/picture.njk' import img %}{{ img(source, 'Dusk' | safe) }}")).toContain(
      'alt="Dusk"',
    )
  })
  test('an instance of a class is fetched, by the queue and by sync', async () => {
    const records: Model[] = []
    const app = await startApp({
      repository: { list: async (kind) => (kind === 'artist' ? records : []) as never[] },
    })
    app.origin.serve('/p.jpg', image(await jpeg(40, 30)))
    const image_url = `${app.origin.url}/p.jpg`
    records.push(new Model({ id: new ObjectId('abc'), image_url }))
    app.artwork.start()
    const one = new Model({ id: 12, image_url }) as never
    expect(app.artwork.refresher.enqueue('artist', one).accepted).toBe(true)
    app.artwork.refresher.run('sync')
    await eventually(() => {
      for (const path of ['artists/12/12.webp', 'artists/ab/abc.webp'])
        expect(app.artwork.images.getDisplayUrl(null, path, 'artist')).toContain('?v=')
    })
  })
})
