/** The databases: whether each can be read, is sound, and of a schema that this version knows. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Examined } from '../../database/examine.js'
import { layoutOf } from '../../store/disk/layout.js'
import { databasesOf } from './directory.js'
import type { Examination } from './examination.js'
import { type Finding, findings, reasonOf } from './finding.js'
import type { Answers, DatabaseName } from './orders.js'
import type { Subject } from './subject.js'

/** Ms that one database may take. */
const DATABASE_WITHIN = 60_000

/** What each database is, and what becomes of it where it is taken away. */
const PARTS: Readonly<Record<DatabaseName, { readonly what: string; readonly after: string }>> = {
  catalogue: { what: 'the catalogue', after: 'it is read back from the index that lies beside the pictures' },
  uploads: { what: 'the index of uploads', after: 'it is read back from the names of the files' },
  jobs: {
    what: 'the queue',
    after: 'what was queued is lost, and `express-artwork sync` queues again what is missing',
  },
}
/** In the order in which they are looked at. */
export const DATABASE_NAMES: readonly DatabaseName[] = ['catalogue', 'uploads', 'jobs']

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
    for (const name of DATABASE_NAMES) {
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
