/**
 * What a page of 1,000 pictures costs beyond plain strings of the same length: of subjects that were never seen, printed in
 * another form than before, and again when nothing has changed; signed and not. Over Nunjucks, as pages are.
 */
import { type ArtworkOptions, remote } from 'express-artwork'
import nunjucks from 'nunjucks'
import { benchArtwork, median } from './support.js'

const ROUNDS = 9
const PICTURES = 1000
const CALLS = {
  'img, auto': "artwork_img(s, 'x', class=c)",
  'picture, all formats': "artwork_picture(s, 'x', class=c)",
} as const

async function measure(name: string, options: ArtworkOptions): Promise<void> {
  const { artwork, end } = await benchArtwork({
    sources: [remote({ hosts: ['cdn.example.com'] })],
    transform: { formats: ['jpeg', 'png', 'gif', 'webp', 'avif'] },
    ...options,
  })
  const environment = new nunjucks.Environment(null, { autoescape: true })
  artwork.installTemplates(environment)
  let seen = 0
  const unseen = () =>
    Array.from({ length: PICTURES }, () => {
      seen += 1
      const image_url = `https://cdn.example.com/covers/${seen}/front-500x500.jpg`
      return { id: seen, type: 'album', image_url }
    })
  const list = unseen()
  for (const [label, call] of Object.entries(CALLS)) {
    const template = nunjucks.compile(`{% for s in list %}{{ ${call} }}{% endfor %}`, environment)
    const plain = nunjucks.compile('{% for s in list %}{{ s | safe }}{% endfor %}', environment)
    const time = (one: nunjucks.Template, list: readonly unknown[], c = ''): number => {
      const startedAt = performance.now()
      one.render({ list, c })
      return performance.now() - startedAt
    }
    // As a server does that has run for a while: the code is compiled, the facts are in memory.
    for (let round = 0; round < 20; round += 1) time(template, list, `before${round}`)
    const times = {
      unseen: [] as number[],
      cold: [] as number[],
      warm: [] as number[],
      plain: [] as number[],
    }
    for (let round = 1; round <= ROUNDS; round += 1) {
      times.unseen.push(time(template, unseen()))
      // In another form than ever before, so that nothing is kept of it; then in the same.
      time(template, list)
      times.cold.push(time(template, list, `c${round}`))
      times.warm.push(time(template, list, `c${round}`))
      const strings = list.map((s) => template.render({ list: [s] }))
      times.plain.push(time(plain, strings))
    }
    const [first, cold, warm, strings] = [times.unseen, times.cold, times.warm, times.plain].map(median)
    console.log(
      `markup ${name}, ${label}: ${PICTURES} pictures ${over(cold, strings)} ms over plain strings when printed in another form, ${over(warm, strings)} ms again, ${over(first, strings)} ms of subjects that were never seen (plain ${ms(strings)} ms)`,
    )
  }
  await end()
}

const ms = (time = 0): string => time.toFixed(1)
const over = (time = 0, plain = 0): string => ms(time - plain)

/** Prints what a page costs. */
export async function benchMarkup(): Promise<void> {
  await measure('unsigned', {})
  await measure('signed', { signing: { keys: ['a-key-of-at-least-16'] } })
}
