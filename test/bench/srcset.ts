/**
 * A whole `srcset` of pictures that are new: six widths in WebP and JPEG, and in AVIF apart, asked for at once as a page and
 * its crawler do. How often upstream is asked, CPU and time a picture. All by the same qualities and efforts.
 * `SRCSET_PICTURES` (20) a round, `SRCSET_ROUNDS` (5).
 */
import { type Asked, ask, type Contender, contenders, type OwnName, PLACE } from './contenders.js'
import { familyCpu } from './processes.js'
import { amount, type Findings, type Row } from './results.js'
import { median } from './support.js'

const PICTURES = amount('SRCSET_PICTURES', 20, 4)
const ROUNDS = amount('SRCSET_ROUNDS', 5, 1)
/** Widths that next/image offers, too. */
const WIDTHS = [128, 256, 384, 640, 828, 1080]
const SETS: readonly { readonly name: string; readonly formats: readonly Asked['format'][] }[] = [
  { name: 'WebP and JPEG', formats: ['webp', 'jpeg'] },
  { name: 'AVIF', formats: ['avif'] },
]
/** next/image gives JPEGs of a JPEG to those who take nothing newer. */
const NAMES: readonly (OwnName | 'next/image')[] = ['toolkit', 'ipx', 'next/image']

interface Round {
  readonly cpu: number
  /** Of the server's own process, without its children. */
  readonly own: number
  readonly ms: number
  readonly bytes: number
}

async function round(
  contender: Contender,
  formats: readonly Asked['format'][],
  pictures: readonly string[],
): Promise<Round> {
  const pid = contender.process.pid ?? 0
  const before = familyCpu(pid)
  let [ms, bytes] = [0, 0]
  for (const picture of pictures) {
    const asked = formats.flatMap((format) => WIDTHS.map((width) => ({ width, format })))
    const startedAt = performance.now()
    const answers = await Promise.all(asked.map((one) => ask(contender.urlOf(picture, one), one.format)))
    ms += performance.now() - startedAt
    bytes += answers.reduce((sum, { length }) => sum + length, 0)
  }
  await new Promise((resolve) => setTimeout(resolve, 1500))
  const after = familyCpu(pid)
  const own = (after.own - before.own) / PICTURES
  const below = (after.below - before.below) / PICTURES
  return { cpu: own + below, own, ms: ms / PICTURES, bytes: bytes / PICTURES }
}

/** Requests, CPU and time of a whole set, of each. Throws where an answer is wrong. */
export async function benchSrcset(): Promise<Findings> {
  const { all, count, newPicture, end } = await contenders({
    names: NAMES,
    warm: { width: 384, format: 'webp' },
  })
  try {
    const rows: Row[] = []
    for (const { name: set, formats } of SETS) {
      const rounds = new Map(all.map(({ name }) => [name, [] as Round[]]))
      const requests = new Map<string, number>()
      for (let index = 0; index < ROUNDS; index += 1) {
        // The same ones for all: none has seen them.
        const pictures = Array.from({ length: PICTURES }, newPicture)
        for (const contender of all) {
          const before = await count()
          rounds.get(contender.name)?.push(await round(contender, formats, pictures))
          requests.set(contender.name, ((await count()) - before) / PICTURES)
        }
      }
      const middle = (name: string, key: keyof Round): number =>
        median((rounds.get(name) ?? []).map((one) => one[key]))
      for (const { name } of all)
        rows.push({
          name: `${set}: ${name}`,
          'upstream requests': requests.get(name) ?? 0,
          'CPU, ms': middle(name, 'cpu'),
          'of it own': middle(name, 'own'),
          'CPU / ipx': middle(name, 'cpu') / middle('ipx', 'cpu'),
          'CPU / next/image': middle(name, 'cpu') / middle('next/image', 'cpu'),
          'time, ms': middle(name, 'ms'),
          'time / ipx': middle(name, 'ms') / middle('ipx', 'ms'),
          bytes: middle(name, 'bytes'),
        })
    }
    return {
      title: `${WIDTHS.length} widths of a new picture, ${PICTURES} a round, medians of ${ROUNDS}, in ${PLACE}`,
      rows,
    }
  } finally {
    await end()
  }
}
