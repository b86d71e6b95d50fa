/** The databases and what they name, the processes that have them open, and the clock. */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Examined } from '../../database/examine.js'
import { layoutOf } from '../../store/disk/layout.js'
import { databasesOf } from './directory.js'
import type { Examination } from './examination.js'
import { type Finding, findings, reasonOf } from './finding.js'
import type { Answers, DatabaseName, Sample } from './orders.js'
import type { Subject } from './subject.js'

/** Ms that one database may take. */
const DATABASE_WITHIN = 60_000
const LOCKS_WITHIN = 15_000
/** A file of the process registry that is younger may be one that is just being locked, ms. */
const REGISTERED_AFTER = 2000
/** How long a lock of an opening may be held before that is said, ms. */
const OPENS_WITHIN = 3000
const ASK_EVERY = 250
/** Names of a sample that are listed. */
const LISTED = 3
const CLOCK_SLACK = 60_000
/** No clock is right that is before this: when this check was written. */
const WRITTEN = Date.UTC(2026, 10, 26)

/** What each database is, and what becomes of it where it is taken away. */
const PARTS: Readonly<Record<DatabaseName, { readonly what: string; readonly after: string }>> = {
  catalogue: { what: 'the catalogue', after: 'it is read back from the index that lies beside the pictures' },
  uploads: { what: 'the index of uploads', after: 'it is read back from the names of the files' },
  jobs: {
    what: 'the queue',
    after: 'what was queued is lost, and `express-artwork sync` queues again what is missing',
  },
}
const NAMES: readonly DatabaseName[] = ['catalogue', 'uploads', 'jobs']

/** What was found of each database that was looked at. */
export type Databases = Readonly<Partial<Record<DatabaseName, Examined<Answers>>>>

/** Looks into the databases, one after the other. What cannot be looked at is `skipped`. */
export async function examineAll(
  examination: Pick<Examination, 'ask'>,
  directory: string,
  uploads: Subject['uploads'],
): Promise<Databases> {
  const files = databasesOf(directory, uploads)
  const found: Partial<Record<DatabaseName, Examined<Answers>>> = {}
  const scratch = await mkdtemp(join(tmpdir(), 'artwork-doctor-'))
  try {
    for (const name of NAMES) {
      const file = files[name]
      if (file === undefined) continue
      const stored = name === 'uploads' ? (uploads?.directory ?? '') : layoutOf(directory).contents
      found[name] = await examination
        .ask('database', { name, file, stored, scratch }, DATABASE_WITHIN)
        .catch((error: unknown): Examined<Answers> => ({ state: 'skipped', detail: reasonOf(error) }))
    }
    return found
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** What is wrong with a database. @param isEmpty whether there is nothing that it should name */
export function databaseFindings(
  name: DatabaseName,
  file: string,
  { state, version, detail = '', answers }: Examined<Answers>,
  isEmpty: boolean,
): readonly Finding[] {
  const { ok, info, warning, error } = findings(name)
  const { what, after } = PARTS[name]
  const replace = `end the processes of the app, remove ${file} with its -wal and -shm, and start the app: ${after}`
  switch (state) {
    case 'missing':
    case 'empty':
      return isEmpty
        ? [ok('not there yet')]
        : [warning(`${file} is lost, and what it named is there`, `start the app: ${after}`)]
    case 'odd':
      return [error(`${file} is no regular file`, `move it away, and start the app: ${after}`)]
    case 'unread':
      return [
        error(
          `${file} cannot be read: ${detail}`,
          `chown and chmod it to the user of the app: it needs to read and write it`,
        ),
      ]
    case 'skipped':
      return [
        info(
          `${file} was not looked into: ${detail}`,
          'run this when less is written, with TMPDIR where there is room for a copy',
        ),
      ]
    case 'damaged':
      return [error(`${file} is damaged: ${detail}`, replace)]
    case 'newer':
      return [
        error(
          `${file} has schema ${version}, of a later version of express-artwork: this one leaves it alone, and cannot use it`,
          'install the later version again, or set another directory',
        ),
      ]
    case 'unknown':
      return [
        warning(
          `${file} has schema ${version}, from which there is no way on: it is put aside at the next start`,
          `keep a copy where somebody wants it back; then start the app: ${after}`,
        ),
      ]
    case 'earlier':
      return [info(`${file} has schema ${version}, which the next start of the app brings on`)]
    case 'sound':
      return answers?.isPaused
        ? [
            ok(`${what} is sound`),
            info('the queue is paused: nothing new is begun', 'express-artwork resume'),
          ]
        : [ok(`${what} is sound, schema ${version}`)]
  }
}

const listed = (names: readonly string[]): string =>
  names.slice(0, LISTED).join(', ') + (names.length > LISTED ? ' …' : '')

/** Whether what the catalogue and the index of uploads name is there. */
export function storedFindings({ catalogue, uploads }: Databases): readonly Finding[] {
  const { ok, warning, error } = findings('stored')
  const found: Finding[] = []
  const missing = ({ looked, missing: gone }: Sample): string =>
    `${gone.length} of ${looked} that were looked for are missing or cut: ${listed(gone)}`
  const pictures = catalogue?.answers?.sample
  if (pictures !== undefined && pictures.missing.length > 0)
    found.push(
      warning(
        `files of stored pictures are not as the catalogue has them, ${missing(pictures)}`,
        'express-artwork verify, with the options of the app: it reads all of them, and has what is missing fetched or made again',
      ),
    )
  const handedIn = uploads?.answers?.sample
  if (handedIn !== undefined && handedIn.missing.length > 0)
    found.push(
      error(
        `files of uploads are gone, ${missing(handedIn)}`,
        'bring them back from a backup, with their names: they cannot be fetched again',
      ),
    )
  const looked = (pictures?.looked ?? 0) + (handedIn?.looked ?? 0)
  return found.length > 0 ? found : [ok(`${looked} files that were looked for are there`)]
}

/** The key of uploads, without which the same bytes get another name. */
export async function keyFindings({
  directory,
}: NonNullable<Subject['uploads']>): Promise<readonly Finding[]> {
  const { ok, error } = findings('upload-key')
  const file = join(directory, 'key')
  const stats = await stat(file).catch(() => undefined)
  const hasFiles = (await readdir(join(directory, 'files')).catch(() => [])).length > 0
  if (stats === undefined)
    return hasFiles
      ? [
          error(
            `${file} is gone: at the next start another is made, and what is uploaded again has another URL`,
            'bring it back from a backup before the app is started',
          ),
        ]
      : [ok('not there yet')]
  return stats.isFile() && stats.size === 32
    ? [ok('as it was made')]
    : [error(`${file} is damaged: nothing can be uploaded`, 'bring it back from a backup, or remove it')]
}

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

/** The clock, beside what was written by it. */
export function clockFindings({ machine }: Subject, databases: Databases): readonly Finding[] {
  const { ok, warning, error } = findings('clock')
  const now = machine.now()
  const text = (at: number): string => new Date(at).toISOString()
  if (now < WRITTEN)
    return [
      error(
        `it is ${text(now)} here, before this version was released: TLS refuses certificates, and pictures stay fresh for too long`,
        'set the clock (timedatectl set-ntp true)',
      ),
    ]
  const newest = Math.max(0, ...Object.values(databases).map((one) => one?.answers?.newest ?? 0))
  if (newest > now + CLOCK_SLACK)
    return [
      warning(
        `it is ${text(now)} here, and something was stored at ${text(newest)}: one of the two clocks was wrong`,
        'set the clock (timedatectl set-ntp true); where it is right now, express-artwork refresh asks anew about what is stored',
      ),
    ]
  return [ok(text(now))]
}
