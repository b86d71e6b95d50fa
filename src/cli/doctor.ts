/**
 * `express-artwork doctor`: looks for what is wrong with the options, the directory and the machine, beside a running app or
 * without one. Nothing is changed, no finding is without what mends it, and each check is bounded in time.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { layoutOf } from '../store/disk/layout.js'
import { loadSharp, type SharpBuild } from '../transform/sharp-build.js'
import {
  driverFindings,
  expressFindings,
  nodeFindings,
  packageFindings,
  sharpFindings,
} from './doctor/build.js'
import { DATABASE_NAMES, type Databases, databaseFindings, examineAll } from './doctor/databases.js'
import { decoderFindings } from './doctor/decoder.js'
import {
  databasesOf,
  directoryFindings,
  fileSystemFindings,
  rightsFindings,
  spaceFindings,
} from './doctor/directory.js'
import { createExamination, type Examination } from './doctor/examination.js'
import { checked, exitCodeOf, type Finding, findings, isProblem } from './doctor/finding.js'
import { hostFindings } from './doctor/hosts.js'
import { accessFindings, agreementFindings, boundFindings, environmentFindings } from './doctor/mistakes.js'
import { processFindings } from './doctor/processes.js'
import { clockFindings, keyFindings, storedFindings } from './doctor/stored.js'
import { type DoctorOptions, findSubject, type Machine, type Subject, thisMachine } from './doctor/subject.js'
import { print } from './output.js'

export type { DoctorOptions } from './doctor/subject.js'

/** Ms that a check may take: one that looks at files, one that asks others, and one that reads databases. */
const SHORT = 15_000
const LONG = 60_000
const LONGEST = 200_000
/** Ms after which what an app's module has left open does not keep the process. */
const STAYS_FOR = 1000

type Checks = Promise<readonly Finding[]>

/** What the toolkit is built on. */
async function buildChecks(subject: Subject): Checks {
  const build = await loadSharp().catch((error: unknown) =>
    error instanceof Error ? error : new Error(String(error)),
  )
  const decodes = (sharp: SharpBuild) => checked('decoder', LONG, () => decoderFindings(subject, sharp))
  return [
    ...(await checked('node', SHORT, () => nodeFindings(subject))),
    ...(await checked('express', SHORT, () => expressFindings())),
    ...(await checked('sharp', SHORT, () => sharpFindings(subject, build))),
    ...(build instanceof Error ? [] : await decodes(build)),
    ...(await checked('packages', LONG, () => packageFindings(subject))),
  ]
}

/** The options, and the hosts that they name. */
async function optionChecks(subject: Subject, isOffline: boolean): Checks {
  const { isSettled } = subject
  const found = [
    ...(await checked('bounds', SHORT, () => boundFindings(subject))),
    ...(await checked('environment', SHORT, () => environmentFindings(subject))),
  ]
  // Of defaults that stand for the app's options, the rest says nothing.
  if (!isSettled) return found
  const hosts = isOffline
    ? [findings('hosts').info('not asked, since this is --offline')]
    : await checked('hosts', LONG, () => hostFindings(subject))
  return [
    ...(await checked('access', SHORT, () => accessFindings(subject))),
    ...(await checked('agreement', SHORT, () => agreementFindings(subject))),
    ...found,
    ...hosts,
  ]
}

/** What the catalogue counts; nothing where there is none yet, and undefined where it cannot be asked. */
const usedIn = ({ catalogue }: Databases) =>
  catalogue?.state === 'missing' || catalogue?.state === 'empty' ? {} : catalogue?.answers
const hasAny = async (folder: string): Promise<boolean> => (await readdir(folder).catch(() => [])).length > 0

/** What the databases say, and what lies beside them. */
async function storedChecks(subject: Subject, directory: string, examination: Examination): Checks {
  const { uploads } = subject
  let databases: Databases = {}
  const found = [
    ...(await checked('databases', LONGEST, async () => {
      databases = await examineAll(examination, directory, uploads)
      return []
    })),
  ]
  const files = databasesOf(directory, uploads)
  const isEmpty = {
    catalogue: !(await hasAny(join(layoutOf(directory).contents, 'content-v2'))),
    uploads: uploads === undefined || !(await hasAny(join(uploads.directory, 'files'))),
    jobs: true,
  }
  for (const name of DATABASE_NAMES) {
    const [one, file] = [databases[name], files[name]]
    if (one !== undefined && file !== undefined)
      found.push(...databaseFindings(name, file, one, isEmpty[name]))
  }
  return [
    ...found,
    ...(await checked('stored', SHORT, () => storedFindings(databases))),
    ...(uploads === undefined ? [] : await checked('upload-key', SHORT, () => keyFindings(uploads))),
    ...(await checked('processes', LONG, () => processFindings(examination, directory, uploads))),
    ...(await checked('space', SHORT, () => spaceFindings(subject, directory, usedIn(databases)))),
    ...(await checked('clock', SHORT, () => clockFindings(subject, databases))),
  ]
}

/** The directory, and what is in it as far as it can be worked in. */
async function directoryChecks(subject: Subject): Checks {
  const { directory, uploads } = subject
  const examination = createExamination()
  try {
    const driver = await checked('better-sqlite3', SHORT * 2, () => driverFindings(examination))
    const found = await checked('directory', SHORT, () => directoryFindings(subject))
    if (directory === undefined || found.some(isProblem)) return [...driver, ...found]
    return [
      ...driver,
      ...found,
      ...(await checked('rights', SHORT, () => rightsFindings(directory, uploads))),
      ...(await checked('file-system', SHORT, () => fileSystemFindings(subject, directory))),
      ...(driver.some(isProblem) ? [] : await storedChecks(subject, directory, examination)),
    ]
  } finally {
    examination.close()
  }
}

/** Runs every check. Never throws. */
export async function examine(
  options: DoctorOptions,
  machine: Machine = thisMachine(),
): Promise<readonly Finding[]> {
  const { subject, found } = await findSubject(options, machine)
  const groups = await Promise.all([
    buildChecks(subject),
    optionChecks(subject, options.offline === true),
    directoryChecks(subject),
  ])
  return [...found, ...groups.flat()]
}

const lineOf = ({ check, level, message, remedy }: Finding): string =>
  `${level.padEnd(7)} ${check}: ${message}${remedy === undefined ? '' : `. To do: ${remedy}`}`.replace(
    /\s*\n\s*/g,
    ' ',
  )

/** Prints a line for each check. Answers the exit code: 0 nothing but ok and info, 1 a warning, 2 an error. */
export async function doctor(options: DoctorOptions): Promise<number> {
  const found = await examine(options)
  for (const finding of found) print(options.json ? JSON.stringify(finding) : lineOf(finding))
  setTimeout(() => process.exit(), STAYS_FOR).unref()
  return exitCodeOf(found)
}
