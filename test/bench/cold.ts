/**
 * The first look at pictures: distinct JPEGs of 1200 by 1200 pixels from an origin, each answered as a WebP of 384, quality
 * 75, effort 4. And the stampede: many who ask for one cold picture at once. Contenders take turns in one run; CPU by
 * process is the first figure. `COLD_PICTURES` (500) a round, `COLD_ROUNDS` (5); `COLD_DIRECTORY` is where pictures are
 * kept, in memory by default.
 */
import { type Asked, ask, type Contender, contenders, PLACE } from './contenders.js'
import { familyCpu } from './processes.js'
import { amount, type Findings } from './results.js'
import { median } from './support.js'

const PICTURES = amount('COLD_PICTURES', 500, 60)
const ROUNDS = amount('COLD_ROUNDS', 5, 1)
const AT_ONCE = 8
/** Pictures that each answers before its round. */
const WARMING = 40
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1500))
const CROWD = 300
const ASKED: Asked = { width: 384, format: 'webp' }

/** What a round came to: ms of CPU a picture, of the process itself and of those below it, and pictures a second. */
interface Round {
  readonly own: number
  readonly below: number
  readonly rate: number
  readonly bytes: number
}

/** Has a contender answer pictures. @returns bytes of all answers */
async function askAll({ urlOf, name }: Contender, pictures: readonly string[]): Promise<number> {
  const left = [...pictures]
  let bytes = 0
  const one = async (): Promise<void> => {
    for (let picture = left.pop(); picture !== undefined; picture = left.pop())
      bytes += (await ask(urlOf(picture, ASKED), name === 'nginx (JPEG)' ? 'jpeg' : ASKED.format)).length
  }
  await Promise.all(Array.from({ length: AT_ONCE }, one))
  return bytes
}

async function round(
  contender: Contender,
  warming: readonly string[],
  pictures: readonly string[],
): Promise<Round> {
  const pid = contender.process.pid ?? 0
  // While the others had their turn, its processes may have ended, or its code may have left the caches.
  await askAll(contender, warming)
  await settled()
  const before = familyCpu(pid)
  const startedAt = performance.now()
  const bytes = await askAll(contender, pictures)
  const seconds = (performance.now() - startedAt) / 1000
  // What is done behind the answers belongs to them.
  await settled()
  const after = familyCpu(pid)
  return {
    own: (after.own - before.own) / PICTURES,
    below: (after.below - before.below) / PICTURES,
    rate: PICTURES / seconds,
    bytes: bytes / PICTURES,
  }
}

/** Ms until all of a crowd have one cold picture. */
async function stampede({ urlOf }: Contender, picture: string): Promise<number> {
  const url = urlOf(picture, ASKED)
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: CROWD }, () => ask(url, ASKED.format)))
  return performance.now() - startedAt
}

const middle = (rounds: readonly Round[], key: keyof Round): number => median(rounds.map((one) => one[key]))
const whole = (rounds: readonly Round[]): number => median(rounds.map(({ own, below }) => own + below))

/** CPU and rate of each, with their ratios to the least. Throws where an answer is wrong. */
export async function benchCold(): Promise<Findings> {
  const { all, size, newPicture, end } = await contenders({
    names: ['bare', 'bare fetch', 'toolkit', 'ipx', 'express-sharp', 'next/image', 'nginx'],
    warm: ASKED,
  })
  try {
    const rounds = new Map(all.map(({ name }) => [name, [] as Round[]]))
    for (let index = 0; index < ROUNDS; index += 1) {
      // The same ones for all: none has seen them.
      const warming = Array.from({ length: WARMING }, newPicture)
      const pictures = Array.from({ length: PICTURES }, newPicture)
      for (const contender of all) rounds.get(contender.name)?.push(await round(contender, warming, pictures))
    }
    const bare = rounds.get('bare') ?? []
    return {
      title: `${PICTURES} JPEGs of ${Math.round(size / 1000)} KB a round, medians of ${ROUNDS}, ${AT_ONCE} at once, in ${PLACE}`,
      rows: [...rounds].map(([name, of]) => ({
        name,
        'own CPU, ms': middle(of, 'own'),
        'below, ms': middle(of, 'below'),
        'all, ms': whole(of),
        'CPU / bare': whole(of) / whole(bare),
        'pictures/s': middle(of, 'rate'),
        'rate / bare': middle(of, 'rate') / middle(bare, 'rate'),
        bytes: middle(of, 'bytes'),
      })),
    }
  } finally {
    await end()
  }
}

/** How long a crowd waits for one cold picture, and how often upstream was asked for it at most. */
export async function benchStampede(): Promise<Findings> {
  const { all, count, newPicture, end } = await contenders({
    names: ['lane', 'toolkit', 'ipx', 'express-sharp', 'next/image'],
    warm: ASKED,
  })
  try {
    const found = new Map(all.map(({ name }) => [name, { times: [] as number[], requests: 0 }]))
    for (let index = 0; index < Math.max(ROUNDS, 3); index += 1) {
      // The same one for all: none has seen it.
      const picture = newPicture()
      for (const contender of all) {
        const before = await count()
        const time = await stampede(contender, picture)
        const of = found.get(contender.name)
        of?.times.push(time)
        if (of) of.requests = Math.max(of.requests, (await count()) - before)
      }
    }
    const next = median(found.get('next/image')?.times ?? [])
    return {
      title: `${CROWD} who ask for one cold picture at once, medians of ${Math.max(ROUNDS, 3)}, in ${PLACE}`,
      rows: [...found].map(([name, { times, requests }]) => ({
        name,
        ms: median(times),
        '/ next/image': median(times) / next,
        'upstream requests': requests,
      })),
    }
  } finally {
    await end()
  }
}
