/** What the databases name: the files that should be there, the key of uploads, and the times that were noted. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Databases } from './databases.js'
import { type Finding, findings, listed } from './finding.js'
import type { Sample } from './orders.js'
import type { Subject } from './subject.js'

const KEY_BYTES = 32
const CLOCK_SLACK = 60_000
/** No clock is right that is before this: when this check was written. */
const WRITTEN = Date.UTC(2026, 10, 26)

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
  return stats.isFile() && stats.size === KEY_BYTES
    ? [ok('as it was made')]
    : [error(`${file} is damaged: nothing can be uploaded`, 'bring it back from a backup, or remove it')]
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
