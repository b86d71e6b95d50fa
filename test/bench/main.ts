/**
 * The benches: `npm run bench`, or `npm run bench NAME`; `peers` are those beside others. The only place for timings; ratios
 * hold, seconds do not. `-- --quick` measures less, `-- --json=FOLDER` writes what was found as JSON too.
 */
import { benchBehind } from './behind.js'
import { benchBytes } from './bytes.js'
import { benchCluster } from './cluster.js'
import { benchCold, benchStampede } from './cold.js'
import { benchCrowd } from './crowd.js'
import { benchDisk } from './disk.js'
import { benchFiles } from './files.js'
import { benchFilters } from './filters.js'
import { benchFootprint } from './footprint.js'
import { benchHard } from './hard.js'
import { benchHeld } from './held.js'
import { benchHit } from './hit.js'
import { benchInstall } from './install.js'
import { benchLoad, benchSoak } from './load.js'
import { benchManage } from './manage.js'
import { benchMarkup } from './markup.js'
import { benchPages } from './pages.js'
import { benchPriority } from './priority.js'
import { benchQuality } from './quality.js'
import { benchRefresh } from './refresh.js'
import { type Findings, printFindings, writeFindings } from './results.js'
import { benchSrcset } from './srcset.js'
import { benchStart } from './start.js'
import { benchStore } from './store.js'

/** What is beside others, or has a bound of its own, is found; the others print their own lines. */
const finding: Readonly<Record<string, () => Promise<Findings>>> = {
  behind: benchBehind,
  cluster: benchCluster,
  cold: benchCold,
  disk: benchDisk,
  files: benchFiles,
  held: benchHeld,
  hit: benchHit,
  refresh: benchRefresh,
  srcset: benchSrcset,
  stampede: benchStampede,
}
const printing: Readonly<Record<string, () => Promise<void>>> = {
  bytes: benchBytes,
  crowd: benchCrowd,
  filters: benchFilters,
  footprint: benchFootprint,
  hard: benchHard,
  install: benchInstall,
  load: benchLoad,
  manage: benchManage,
  markup: benchMarkup,
  pages: benchPages,
  priority: benchPriority,
  quality: benchQuality,
  soak: benchSoak,
  start: benchStart,
  store: benchStore,
}
const all = [...Object.keys(finding), ...Object.keys(printing)].sort()
/** The benches beside others. */
const PEERS = ['cold', 'stampede', 'srcset', 'disk', 'files', 'hit', 'bytes']

const given = process.argv.slice(2)
const folder = given.find((one) => one.startsWith('--json='))?.slice('--json='.length)
const wanted = given
  .filter((one) => !one.startsWith('--'))
  .flatMap((name) => (name === 'peers' ? PEERS : [name]))
const unknown = wanted.find((name) => !all.includes(name))
if (unknown !== undefined) throw new Error(`there is no bench ${unknown}: ${all.join(', ')}, peers`)
for (const name of wanted.length > 0 ? wanted : all) {
  await printing[name]?.()
  const findings = await finding[name]?.()
  if (findings === undefined) continue
  printFindings(name, findings)
  if (folder !== undefined) writeFindings(folder, name, findings)
}
