import { writeFile } from 'node:fs/promises'
import { MADE_PICTURES, picturesIn } from './pictures.js'
import { measure, NEXT } from './quality-measure.js'
const a = (q: number, e: number) => ({ name: `avif ${q} e${e}`, encode: (i: any) => i.avif({ quality: q, effort: e }) })
const settings = [NEXT,
  ...[50,60,70,75,80,85,90,95].map((q) => ({ name: `webp ${q}`, encode: (i: any) => i.webp({ quality: q, effort: 4 }) })),
  { name: 'webp 85 deblock', encode: (i: any) => i.webp({ quality: 85, effort: 4, smartDeblock: true }) },
  { name: 'webp 85 subsample', encode: (i: any) => i.webp({ quality: 85, effort: 4, smartSubsample: true }) },
  ...[60,70,75,80,82,83,84,85,86,87,90,95].map((q) => ({ name: `jpeg ${q}`, encode: (i: any) => i.jpeg({ quality: q, progressive: true }) })),
  ...[30,40,45,50,53,56,60,61,62,63,64,65,66,67,68,70,75,80,85,90].map((q) => a(q, 3)),
  ...[60,62,63,64,65,66,67,68,70].map((q) => a(q, 2)),
]
const out: Record<string, unknown> = {}
for (const [n, p] of [['made', MADE_PICTURES], ['real', await picturesIn('/tmp/q/real')]] as const) {
  out[n] = await measure({ pictures: p, widths: [640], settings, times: 1 })
  await writeFile('/tmp/quality-fine.json', JSON.stringify(out))
}
