/** The benches: `npm run bench`, or `npm run bench NAME`. The only place for timings; ratios hold, seconds do not. */
import { benchBytes } from './bytes.js'
import { benchCold, benchStampede } from './cold.js'
import { benchCrowd } from './crowd.js'
import { benchDisk } from './disk.js'
import { benchFilters } from './filters.js'
import { benchFootprint } from './footprint.js'
import { benchHard } from './hard.js'
import { benchHit } from './hit.js'
import { benchInstall } from './install.js'
import { benchLoad, benchSoak } from './load.js'
import { benchManage } from './manage.js'
import { benchMarkup } from './markup.js'
import { benchPages } from './pages.js'
import { benchPriority } from './priority.js'
import { benchQuality } from './quality.js'
import { benchRefresh } from './refresh.js'
import { benchStart } from './start.js'
import { benchStore } from './store.js'

const benches: Readonly<Record<string, () => Promise<void>>> = {
  bytes: benchBytes,
  cold: benchCold,
  crowd: benchCrowd,
  disk: benchDisk,
  filters: benchFilters,
  footprint: benchFootprint,
  hard: benchHard,
  hit: benchHit,
  install: benchInstall,
  load: benchLoad,
  manage: benchManage,
  markup: benchMarkup,
  pages: benchPages,
  priority: benchPriority,
  quality: benchQuality,
  refresh: benchRefresh,
  soak: benchSoak,
  stampede: benchStampede,
  start: benchStart,
  store: benchStore,
}
const wanted = process.argv.slice(2)
for (const name of wanted.length > 0 ? wanted : Object.keys(benches)) {
  const bench = benches[name]
  if (bench === undefined) throw new Error(`there is no bench ${name}: ${Object.keys(benches).join(', ')}`)
  await bench()
}
