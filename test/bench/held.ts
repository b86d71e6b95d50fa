/**
 * What the memory layer holds beside what it counts, with contents of 1, 4 and 17 KB: each size in a process of its own, that
 * collects all garbage before it looks. `HELD_CONTENTS` (20,000) of each.
 */
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { createMemoryCache } from '#src/store/memory-cache.js'
import { createMemoryStore } from '#src/store/memory-store.js'
import type { NewEntry } from '#src/store/ports.js'
import { started } from './processes.js'
import { amount, type Findings } from './results.js'

const CONTENTS = amount('HELD_CONTENTS', 20_000, 5000)
const SIZES = [1024, 4096, 17_000]

/** Memory of this process without garbage, bytes. */
function held(): number {
  for (let turn = 0; turn < 4; turn += 1) globalThis.gc?.()
  return process.memoryUsage.rss()
}

/** In the process that is measured: fills a memory layer, over a store that holds no content itself. */
async function fill(size: number): Promise<void> {
  const nothing = createMemoryStore({ maxBytes: 1e12, maxNames: 1e6, now: () => 0 })
  const inner = {
    ...nothing,
    find: () => undefined,
    write: (async (fresh, bytes) => ({
      ...fresh,
      digest: createHash('sha256').update(fresh.key).digest('hex'),
      size: bytes.length,
      isStored: true,
    })) as typeof nothing.write,
  }
  const { store } = createMemoryCache(inner, { maxBytes: 1e12, maxNames: 1 })
  const put = (index: number) =>
    store.write({ key: `images/${index}` } as NewEntry, Buffer.alloc(size, index & 255))
  await put(-1)
  const before = held()
  for (let index = 0; index < CONTENTS; index += 1) await put(index)
  const after = held()
  console.log(JSON.stringify({ held: after - before, counted: store.stats().memory.bytes }))
}

const [measured] = process.argv.slice(2)
if (process.argv[1] === fileURLToPath(import.meta.url)) await fill(Number(measured))

/** Held and counted, by size. */
export async function benchHeld(): Promise<Findings> {
  const rows = []
  for (const size of SIZES) {
    const { line } = await started([
      '--expose-gc',
      '--import',
      'tsx',
      fileURLToPath(import.meta.url),
      String(size),
    ])
    const { held: memory, counted } = JSON.parse(line) as { held: number; counted: number }
    rows.push({
      name: `${size} bytes`,
      'held, bytes each': memory / CONTENTS,
      'counted, bytes each': counted / CONTENTS,
      'held / counted': memory / counted,
    })
  }
  return { title: `${CONTENTS} contents of each size in the memory layer`, rows }
}
