/** The processes that have the directory open, by their locks: those that died, and those that hang. */
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { layoutOf } from '../../store/disk/layout.js'
import { databasesOf } from './directory.js'
import type { Examination } from './examination.js'
import { type Finding, findings, listed } from './finding.js'
import type { Subject } from './subject.js'

const LOCKS_WITHIN = 15_000
/** A file of the process registry that is younger may be one that is just being locked, ms. */
const REGISTERED_AFTER = 2000
/** How long a lock of an opening may be held before that is said, ms. */
const OPENS_WITHIN = 3000
const ASK_EVERY = 250

/** Files of a process registry that were not made a moment ago, with their paths. */
async function registered(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => [])
  const found: string[] = []
  for (const name of names.filter((one) => /^[0-9a-f-]{36}$/.test(one))) {
    const stats = await stat(join(folder, name)).catch(() => undefined)
    if (stats?.isFile() && Date.now() - stats.mtimeMs > REGISTERED_AFTER) found.push(join(folder, name))
  }
  return found
}

/** The locks of openings that stay held. */
async function heldOpenings(examination: Pick<Examination, 'ask'>, files: readonly string[]) {
  let held = files
  for (const end = performance.now() + OPENS_WITHIN; ; await sleep(ASK_EVERY)) {
    const states = await examination.ask('locks', { files: held }, LOCKS_WITHIN)
    held = held.filter((_file, index) => states[index])
    if (held.length === 0 || performance.now() > end) return held
  }
}

/** Processes that died, and openings that hang. */
export async function processFindings(
  examination: Pick<Examination, 'ask'>,
  directory: string,
  uploads: Subject['uploads'],
): Promise<readonly Finding[]> {
  const { ok, warning } = findings('processes')
  const found: Finding[] = []
  const stores = await registered(layoutOf(directory).processes)
  const workers = await registered(join(directory, 'workers'))
  const files = [...stores, ...workers]
  const states = await examination.ask('locks', { files }, LOCKS_WITHIN)
  const dead = files.filter((_file, index) => !states[index])
  const alive = stores.filter((file) => !dead.includes(file)).length
  if (dead.length > 0)
    found.push(
      warning(
        `processes ended without closing, by a crash, a lack of memory or SIGKILL: ${listed(dead.map((file) => file.slice(directory.length + 1)))} are left of them`,
        'start the app, which finishes what they left; let it have its time after SIGTERM (artwork.close())',
      ),
    )
  const locks: string[] = []
  for (const file of Object.values(databasesOf(directory, uploads)))
    if ((await stat(`${file}.lock`).catch(() => undefined))?.isFile()) locks.push(`${file}.lock`)
  const held = await heldOpenings(examination, locks)
  if (held.length > 0)
    found.push(
      warning(
        `a process has been opening ${held.map((file) => basename(file, '.lock')).join(' and ')} for seconds, and others wait for it`,
        'look for a process of the app that hangs, and end it (SIGKILL is safe)',
      ),
    )
  return found.length > 0 ? found : [ok(alive === 0 ? 'none has it open' : `${alive} have it open`)]
}
