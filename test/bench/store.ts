/** Put, get and remove through the store on disk against bare cacache, which keeps no facts, bounds or locks. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import cacache from 'cacache'
import type { Entry } from '#src/model/entry.js'
import { createDiskStore } from '#src/store/disk/store.js'
import { median } from './support.js'

const ROUNDS = 5
const NAMES = 1500
const CONCURRENCY = 4
const SIZE = 16 * 1024

/** One way of keeping bytes. A `get` answers verified bytes. */
interface Keeper {
  put(name: string, bytes: Buffer): Promise<unknown>
  get(name: string): Promise<Buffer | undefined>
  remove(name: string): Promise<unknown>
  end(): Promise<void>
}

async function ours(directory: string): Promise<Keeper> {
  const logger = { debug: () => {}, info: () => {}, warn: console.warn, error: console.error }
  const bounds = { maxBytes: 1e9, maxNames: 1e6 }
  const store = await createDiskStore({ directory, ...bounds, now: Date.now, logger })
  const facts = {
    role: 'original' as const,
    type: 'image/webp',
    width: 200,
    height: 300,
    freshnessLifetime: 1e9,
  }
  return {
    put: (name, bytes) => store.write({ ...facts, key: name, storedAt: 1, validatedAt: 1 }, bytes),
    get: async (name) => (await store.read(store.find(name) as Entry))?.bytes,
    remove: store.delete,
    end: store.close,
  }
}
const bare = async (directory: string): Promise<Keeper> => ({
  put: (name, bytes) => cacache.put(directory, name, bytes, { algorithms: ['sha256'], size: bytes.length }),
  get: async (name) => (await cacache.get(directory, name)).data,
  // Bytes as well as name, as ours does.
  remove: async (name) => {
    const info = await cacache.get.info(directory, name)
    await cacache.rm.entry(directory, name)
    if (info) await cacache.rm.content(directory, info.integrity)
  },
  end: async () => {},
})

async function rates(open: (directory: string) => Promise<Keeper>) {
  const directory = await mkdtemp(join(tmpdir(), 'artwork-bench-'))
  const keeper = await open(directory)
  const contents = Array.from({ length: NAMES }, () => randomBytes(SIZE))
  const perSecond = async (work: (index: number) => Promise<void>): Promise<number> => {
    const startedAt = performance.now()
    let next = 0
    const one = async (): Promise<void> => {
      for (let index = next++; index < NAMES; index = next++) await work(index)
    }
    await Promise.all(Array.from({ length: CONCURRENCY }, one))
    return (NAMES * 1000) / (performance.now() - startedAt)
  }
  const name = (index: number): string =>
    `images/poster/w342/${createHash('sha256').update(String(index)).digest('hex').slice(0, 27)}.webp`
  const put = await perSecond(
    async (index) => void (await keeper.put(name(index), contents[index] ?? Buffer.alloc(0))),
  )
  const get = await perSecond(async (index) => {
    const bytes = await keeper.get(name(index))
    if (!bytes?.equals(contents[index] ?? Buffer.alloc(0)))
      throw new Error('a wrong answer: nothing is printed')
  })
  const remove = await perSecond(async (index) => void (await keeper.remove(name(index))))
  await keeper.end()
  await rm(directory, { recursive: true, force: true })
  return { put, get, remove }
}

/** Prints names a second for both, medians of alternating rounds. */
export async function benchStore(): Promise<void> {
  const measured: Record<'ours' | 'bare', Awaited<ReturnType<typeof rates>>[]> = { ours: [], bare: [] }
  for (let round = 0; round < ROUNDS; round += 1) {
    measured.ours.push(await rates(ours))
    measured.bare.push(await rates(bare))
  }
  for (const verb of ['put', 'get', 'remove'] as const) {
    const [our, plain] = [
      median(measured.ours.map((one) => one[verb])),
      median(measured.bare.map((one) => one[verb])),
    ]
    console.log(
      `store: ${verb} ${Math.round(our)}/s, bare cacache ${Math.round(plain)}/s (ratio ${(our / plain).toFixed(2)})`,
    )
  }
}
