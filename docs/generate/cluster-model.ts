/**
 * A model of several nodes: what they ask of sources and of the bucket for a stream of requests. Deterministic: the same numbers
 * each time. What a request costs is counted as the toolkit does it, and checked against it by a test of two real nodes.
 */

/** What is played. */
export interface Scene {
  readonly nodes: number
  /** Whether nodes share a bucket and leases. */
  readonly isShared: boolean
  /** Whether the balancer sends a picture to the same node each time (consistent hashing), or to any. */
  readonly isHashed: boolean
  readonly requests: number
  /** How many different pictures there are. */
  readonly pictures: number
  /** Pictures that a node has room for. */
  readonly room: number
  /** The exponent of Zipf's law: how much the most popular ones are asked for. */
  readonly zipf: number
  /** After so many requests one node is replaced by an empty one; 0: never. */
  readonly replacedEvery: number
  /** Bytes of an original, and of what is made of it. */
  readonly bytes: { readonly original: number; readonly rendition: number }
}

/** What it came to. */
export interface Played {
  readonly upstream: number
  readonly encodes: number
  /** Requests to the bucket that read, and that write. */
  readonly reads: number
  readonly writes: number
  /** Requests that a node answered by itself. */
  readonly hits: number
  /** Bytes between nodes and the bucket, and from sources. */
  readonly bucketBytes: number
  readonly upstreamBytes: number
  /** Objects in the bucket at the end, and their bytes. */
  readonly objects: number
  readonly objectBytes: number
}

/** Originals up to this size are in the object of their name (`INLINE_BYTES`). */
const INLINE = 64 * 1024

/** Numbers between 0 and 1 from a seed (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Which picture is asked for, by Zipf's law. */
function createZipf(count: number, exponent: number, random: () => number): () => number {
  const sums = new Float64Array(count)
  let sum = 0
  for (let rank = 0; rank < count; rank += 1) {
    sum += 1 / (rank + 1) ** exponent
    sums[rank] = sum
  }
  return () => {
    const wanted = random() * sum
    let [from, to] = [0, count - 1]
    while (from < to) {
      const middle = (from + to) >> 1
      if ((sums[middle] ?? 0) < wanted) from = middle + 1
      else to = middle
    }
    return from
  }
}

/** What a node has, least recently used first. */
function createNode(room: number) {
  const has = new Set<number>()
  return {
    use: (picture: number): boolean => {
      const isThere = has.delete(picture)
      has.add(picture)
      if (has.size > room) has.delete(has.values().next().value ?? -1)
      return isThere
    },
  }
}

/** Plays a scene. */
export function play(scene: Scene): Played {
  const { nodes, isShared, isHashed, requests, pictures, room, zipf, replacedEvery, bytes } = scene
  const random = createRandom(2)
  // The same requests, whatever becomes of them.
  const next = createZipf(pictures, zipf, createRandom(1))
  const all = Array.from({ length: nodes }, () => createNode(room))
  const bucket = new Set<number>()
  const isLarge = bytes.original > INLINE
  let [upstream, reads, writes, hits, bucketBytes] = [0, 0, 0, 0, 0]
  for (let request = 1; request <= requests; request += 1) {
    if (replacedEvery > 0 && request % replacedEvery === 0)
      all[Math.floor(random() * nodes)] = createNode(room)
    const picture = next()
    // Hashing goes by the picture; what a node of the ring loses, the next one gets, which is left out here.
    const place = isHashed ? Math.imul(picture, 2_654_435_761) >>> 0 : Math.floor(random() * nodes)
    if (all[place % nodes]?.use(picture)) {
      hits += 1
      continue
    }
    if (isShared && bucket.has(picture)) {
      // One request: the name has its facts, its bytes, and those of its original.
      reads += 1
      bucketBytes += bytes.rendition
      continue
    }
    upstream += 1
    if (!isShared) continue
    // Looked for twice in vain, the rendition and its original; then both are written.
    reads += 2
    writes += isLarge ? 3 : 2
    if (isLarge) reads += 1
    bucketBytes += bytes.original + bytes.rendition
    bucket.add(picture)
  }
  return {
    ...{ upstream, reads, writes, hits, bucketBytes },
    encodes: upstream,
    upstreamBytes: upstream * bytes.original,
    objects: bucket.size * (isLarge ? 3 : 2),
    objectBytes: bucket.size * (bytes.original + bytes.rendition),
  }
}

/** The scenes of the documentation. */
export const USUAL: Scene = {
  nodes: 1,
  isShared: true,
  isHashed: false,
  requests: 100_000,
  pictures: 20_000,
  room: 4000,
  zipf: 0.9,
  replacedEvery: 10_000,
  bytes: { original: 300_000, rendition: 20_000 },
}
const SIZES = [2, 5, 20, 50, 200]

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
const thousands = (count: number): string => (count / 1000).toFixed(1)

/** The table of the documentation. */
export function table(): readonly (readonly string[])[] {
  return SIZES.flatMap((nodes) =>
    [false, true].map((isHashed) => {
      const alone = play({ ...USUAL, nodes, isHashed, isShared: false })
      const shared = play({ ...USUAL, nodes, isHashed })
      return [
        String(nodes),
        isHashed ? 'by picture' : 'any',
        percent(shared.hits / USUAL.requests),
        thousands(alone.upstream),
        thousands(shared.upstream),
        thousands(shared.reads),
        thousands(shared.writes),
        (shared.bucketBytes / 1e9).toFixed(1),
      ]
    }),
  )
}
