/** How many warm filter calls a second: a template of 100 entities, local pictures and none. */
import nunjucks from 'nunjucks'
import { benchArtwork, median, webp16k } from './support.js'

const ROUNDS = 7
const RENDERS = 200
const ENTITIES = 100

/** Prints calls a second, and what a call costs beside printing a plain field in the same loop. */
export async function benchFilters(): Promise<void> {
  const { artwork, end } = await benchArtwork()
  await artwork.images.put('poster/w342/abc.webp', await webp16k())
  const environment = new nunjucks.Environment(null, { autoescape: true })
  artwork.installTemplates(environment)
  const artists = Array.from({ length: ENTITIES }, (_, id) => ({
    id,
    type: 'artist',
    image_url: `https://cdn.example.com/${id}.jpg`,
  }))
  const templates = {
    filter: nunjucks.compile('{% for a in artists %}{{ a | image_display_url }}{% endfor %}', environment),
    field: nunjucks.compile('{% for a in artists %}{{ a.image_url }}{% endfor %}', environment),
  }
  const perSecond = (template: nunjucks.Template): number => {
    const startedAt = performance.now()
    for (let time = 0; time < RENDERS; time += 1) template.render({ artists })
    return (RENDERS * ENTITIES * 1000) / (performance.now() - startedAt)
  }
  const rates: { filter: number[]; field: number[] } = { filter: [], field: [] }
  for (let round = 0; round < ROUNDS; round += 1) {
    rates.filter.push(perSecond(templates.filter))
    rates.field.push(perSecond(templates.field))
  }
  const [filter, field] = [median(rates.filter), median(rates.field)]
  console.log(
    `filters: ${Math.round(filter)} image_display_url calls/s warm, ${Math.round(field)} plain fields/s (ratio ${(filter / field).toFixed(2)})`,
  )
  await end()
}
