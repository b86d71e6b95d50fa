/** Options that are right one by one, and are mistakes all the same, or against this machine. */
import { lstat, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Settings } from '../../options/settings.js'
import { isUploadSource } from '../../sources/uploads.js'
import { type Finding, findings } from './finding.js'
import type { Subject } from './subject.js'

const MIB = 1024 ** 2
/** A decoder takes some 75 MiB before its first picture: with less it is ended, or not, by how long its work takes. */
export const LEAST_DECODER = 128 * MIB
const PROXY_VARIABLES = ['http_proxy', 'https_proxy', 'all_proxy']

/** Bytes in a unit that people read. */
export const sizeText = (bytes: number): string => {
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  let [value, unit] = [bytes / 1024, 0]
  for (; value >= 1024 && unit < units.length - 1; unit += 1) value /= 1024
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`
}

const fetches = ({ sources }: Settings): boolean => sources.some(({ isHosted }) => isHosted !== true)

/** Who may ask for what. */
export function accessFindings({ settings }: Subject): readonly Finding[] {
  const { strict, signing, sources, manage } = settings
  const { info, warning, ok } = findings('access')
  const found: Finding[] = []
  if (!strict && sources.some(({ freeFormats }) => freeFormats !== undefined))
    found.push(
      warning(
        `strict is false${signing.keys.length === 0 ? ' and there are no signing.keys' : ''}: anybody may have any picture made in any size and format, which costs the processor and the disk`,
        'set strict: true, and signing.keys where pages need sizes of their own',
      ),
    )
  if (sources.some((source) => 'openToAll' in source && source.openToAll === true))
    found.push(
      info(
        'remote({ hosts: ["*"] }): whatever host has a signature is fetched from',
        'list the hosts, where they are known',
      ),
    )
  if (manage.authorize === undefined)
    found.push(
      info(
        'manage.authorize is missing: the management API and the dashboard are closed to everybody',
        'give manage.authorize (ARTWORK_MANAGE_TOKEN in the service), where they are mounted',
      ),
    )
  if (sources.some((source) => isUploadSource(source) && source.uploads.authorize === undefined))
    found.push(
      info(
        'uploads() has no authorize: nobody may upload over HTTP',
        'give uploads({ authorize }) (ARTWORK_UPLOAD_TOKEN in the service), where clients upload',
      ),
    )
  return found.length > 0 ? found : [ok('strict, and management and uploads ask who comes')]
}

/** Bounds against the machine. */
export function boundFindings({ settings, machine }: Subject): readonly Finding[] {
  const { memory, transform } = settings
  const { ok, info, warning } = findings('bounds')
  const found: Finding[] = []
  const has = `this machine has ${sizeText(machine.memory)}`
  if (memory.maxBytes > machine.memory)
    found.push(
      warning(
        `memory.maxBytes is ${sizeText(memory.maxBytes)}, and ${has}: the process is killed before that is full`,
        `set memory.maxBytes to ${Math.max(16, Math.floor(machine.memory / 4 / MIB))} MiB or less`,
      ),
    )
  if (transform.concurrency > machine.cores)
    found.push(
      warning(
        `transform.concurrency is ${transform.concurrency}, and there are ${machine.cores} cores: decoders take turns, and the app waits for them`,
        `set transform.concurrency to ${machine.cores} or less, or leave it out`,
      ),
    )
  if (transform.isolate && transform.maxMemory < LEAST_DECODER)
    found.push(
      warning(
        `transform.maxMemory is ${sizeText(transform.maxMemory)}, and a decoder takes some 75 MiB before its first picture: it is ended in the middle of its work`,
        'set transform.maxMemory to 128 MiB or more (768 MiB is the default)',
      ),
    )
  const decoders = transform.isolate ? transform.concurrency * transform.maxMemory : 0
  if (memory.maxBytes <= machine.memory && memory.maxBytes + decoders > machine.memory)
    found.push(
      info(
        `memory.maxBytes and ${transform.concurrency} decoders of transform.maxMemory come to ${sizeText(memory.maxBytes + decoders)}, and ${has}`,
        'set transform.concurrency or transform.maxMemory lower, where large pictures come at once',
      ),
    )
  if (!transform.isolate)
    found.push(
      info(
        'transform.isolate is false: a file that crashes the decoder takes the app along',
        'leave transform.isolate out, where pictures come from others',
      ),
    )
  return found.length > 0 ? found : [ok(`within ${sizeText(machine.memory)} and ${machine.cores} cores`)]
}

/** Variables that do not do what is expected of them. */
export function environmentFindings({ settings, machine }: Subject): readonly Finding[] {
  const { ok, info, warning } = findings('environment')
  const found: Finding[] = []
  const names = Object.keys(machine.env).filter(
    (name) => PROXY_VARIABLES.includes(name.toLowerCase()) && machine.env[name] !== '',
  )
  if (names.length > 0 && settings.fetch.proxies === undefined && fetches(settings))
    found.push(
      warning(
        `${names.join(' and ')} ${names.length === 1 ? 'is' : 'are'} set, and ignored: pictures are fetched without a proxy`,
        'name the proxy in fetch.proxies and the pool of each source, or unset the variable here',
      ),
    )
  const mode = machine.env.NODE_ENV
  if (mode !== 'production')
    found.push(
      info(
        `NODE_ENV is ${mode === undefined || mode === '' ? 'not set' : JSON.stringify(mode)}: Express tells clients of errors in full`,
        'set NODE_ENV=production where this is the server',
      ),
    )
  return found.length > 0 ? found : [ok('NODE_ENV is production')]
}

/** What the start of the app would refuse, and what it needs beside. */
export async function agreementFindings({ settings, directory }: Subject): Promise<readonly Finding[]> {
  const { ok, info, error } = findings('agreement')
  const found: Finding[] = []
  const { proxies } = settings.fetch
  const pools = ['*', ...Object.keys(proxies?.pools ?? {}), ...Object.keys(proxies?.files ?? {})]
  for (const { name, pool } of settings.sources)
    if (pool !== undefined && !pools.includes(pool))
      found.push(
        error(
          `${name}.pool is ${JSON.stringify(pool)}, which is no pool of fetch.proxies`,
          'add the pool to fetch.proxies.pools, or leave pool out',
        ),
      )
  // A schedule needs what lists entities; loaded here, since it brings the jobs along.
  const [{ checkSchedules }, { needsRepository }] = await Promise.all([
    import('../../jobs/schedules.js'),
    import('../../jobs/kinds.js'),
  ])
  try {
    const hasList = settings.repository?.list !== undefined
    checkSchedules(settings.schedules, (kind) => !needsRepository(kind) || hasList)
  } catch (thrown) {
    found.push(error(String(thrown).replace(/^TypeError: /, ''), 'correct schedules, or give a repository'))
  }
  const folder = settings.export.directory
  if (folder !== undefined && directory !== undefined && settings.export.mode === undefined) {
    const devices = await Promise.all(
      [lstat(directory), stat(resolve(folder))].map((one) => one.catch(() => undefined)),
    )
    const [own, other] = devices.map((one) => one?.dev)
    if (own !== undefined && other !== undefined && own !== other)
      found.push(
        info(
          'export.directory is on another file system than directory: files are copies, which take space twice',
          'put both on one file system, where space matters',
        ),
      )
  }
  return found.length > 0 ? found : [ok('sources, schedules and export agree')]
}
