/** Environment variables: the names of the earlier service, and `ARTWORK_` with the path of any other option. */
import { SCHEDULED_KINDS } from '../model/job-kinds.js'
import { optionsSchema } from './schema.js'

export type Path = readonly string[]

/** What a variable's text is read as. @throws Error with the rule */
type Read = (text: string) => unknown

export const rule = (text: string): never => {
  throw new Error(text)
}
const wholeNumber =
  (least: number): Read =>
  (text) =>
    /^\d{1,15}$/.test(text) && Number(text) >= least
      ? Number(text)
      : rule(`must be a whole number from ${least}`)
export const secondsAsMs: Read = (text) =>
  /^\d{1,9}(?:\.\d+)?$/.test(text) ? Math.round(Number(text) * 1000) : rule('must be a number of seconds')
const json: Read = (text) => {
  try {
    return JSON.parse(text)
  } catch {
    return rule('must be JSON')
  }
}
export const list: Read = (text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
const flag: Read = (text) =>
  /^(?:true|false|1|0)$/i.test(text) ? /^(?:true|1)$/i.test(text) : rule('must be true or false')
const plain: Read = (text) => text
const numberOrText: Read = (text) => (/^\d+(?:\.\d+)?$/.test(text) ? Number(text) : text)

export interface Variable {
  readonly name: string
  readonly path: Path
  readonly read: Read
  readonly isSecret?: boolean
}

/** The documented names of the earlier service (PARITY 38), by the option each sets. */
export const SERVICE_VARIABLES: readonly Variable[] = [
  { name: 'MAX_FETCH_BYTES', path: ['fetch', 'maxBytes'], read: wholeNumber(1) },
  { name: 'FETCH_MAX_RETRIES', path: ['fetch', 'retries'], read: wholeNumber(0) },
  { name: 'PROXIES', path: ['fetch', 'proxies', 'pools'], read: json, isSecret: true },
  { name: 'PROXY_FILES', path: ['fetch', 'proxies', 'files'], read: json },
  { name: 'PROXY_STRATEGY', path: ['fetch', 'proxies', 'strategy'], read: (text) => text.replace('_', '-') },
  { name: 'PROXY_BLACKLIST_THRESHOLD', path: ['fetch', 'proxies', 'restAfter'], read: wholeNumber(1) },
  { name: 'PROXY_BLACKLIST_TTL', path: ['fetch', 'proxies', 'restFor'], read: secondsAsMs },
  { name: 'ARTWORK_PROXY_DIRECT', path: ['fetch', 'proxies', 'direct'], read: flag },
  { name: 'ARTWORK_PROXY_RESOLVE', path: ['fetch', 'proxies', 'resolve'], read: plain },
]
export const UPLOAD_VARIABLES: readonly Variable[] = [
  { name: 'UPLOADS_PATH', path: ['directory'], read: plain },
  { name: 'MAX_UPLOAD_SIZE', path: ['fit'], read: wholeNumber(1) },
  { name: 'MAX_FETCH_SIZE', path: ['fetchFit'], read: wholeNumber(1) },
  { name: 'ARTWORK_UPLOAD_MAX_BYTES', path: ['maxBytes'], read: numberOrText },
  { name: 'ARTWORK_UPLOAD_MAX_AGE', path: ['maxAge'], read: wholeNumber(1) },
  { name: 'ARTWORK_UPLOAD_TIMEOUT', path: ['bodyTimeout'], read: wholeNumber(1) },
  { name: 'ARTWORK_KEEP_ORIGINAL', path: ['keepOriginal'], read: flag },
  { name: 'ARTWORK_NAMESPACES', path: ['namespaces'], read: list },
  { name: 'ARTWORK_UPLOAD_CORS', path: ['cors'], read: list },
]
/** Variables with rules of their own. */
const OWN = [
  'FETCH_TIMEOUT',
  'ARTWORK_UPLOAD_TOKEN',
  'ARTWORK_TMDB',
  'ARTWORK_REMOTE_HOSTS',
  'ARTWORK_LOG_LEVEL',
  'ARTWORK_MANAGE_TOKEN',
  'ARTWORK_S3_BUCKET',
  'ARTWORK_S3_PREFIX',
  'ARTWORK_S3_ENDPOINT',
  'ARTWORK_S3_REGION',
  'ARTWORK_S3_DAYS',
  'ARTWORK_REDIS_URL',
  'ARTWORK_REDIS_PREFIX',
  'ARTWORK_JOBS_URL',
]
/** Options that no text can hold. */
const NO_TEXT = new Set([
  'offline',
  'shared',
  'coordination',
  'jobs',
  'sources',
  'repository',
  'onPurge',
  'kindOf',
  'clientOf',
  'logger',
  'now',
  'fetch.lookup',
  'fetch.proxies',
  'manage.authorize',
  'manage.templates',
  'schedules',
  'export',
])

const nameOf = (path: Path): string =>
  `ARTWORK_${path.map((part) => part.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()).join('_')}`

/** Options that take a word or a flag. */
const EITHER = new Set(['cors', 'cacheTags', 'cdnCacheControl'])
/** Options that take a number, or one for each format as JSON. */
const PER_FORMAT = new Set(['transform.quality', 'transform.effort'])

/** How a text is read for an option whose default is this. */
function reader(sample: unknown, path: string): Read {
  if (EITHER.has(path)) return (text) => (/^(?:true|false)$/i.test(text) ? flag(text) : text)
  if (PER_FORMAT.has(path)) return (text) => (/^\d+$/.test(text) ? Number(text) : json(text))
  if (typeof sample === 'boolean') return flag
  if (typeof sample === 'number') return numberOrText
  if (Array.isArray(sample)) {
    const isOfNumbers = path === 'widths' || sample.some((one) => typeof one === 'number')
    return (text) => (list(text) as string[]).map((part) => (isOfNumbers ? numberOrText(part) : part))
  }
  return typeof sample === 'object' && sample !== null ? json : plain
}

/** A variable for every option that text can hold: those with a default, as the schema has them. */
export function optionVariables(): readonly Variable[] {
  const found: Variable[] = []
  const walk = (value: unknown, path: Path): void => {
    if (NO_TEXT.has(path.join('.'))) return
    const isGroup =
      typeof value === 'object' &&
      value !== null &&
      !Array.isArray(value) &&
      !PER_FORMAT.has(path.join('.')) &&
      Object.keys(value).length > 0
    if (isGroup) for (const [key, inner] of Object.entries(value)) walk(inner, [...path, key])
    else if (typeof value !== 'function')
      found.push({
        name: nameOf(path),
        path,
        read: reader(value, path.join('.')),
        isSecret: path[0] === 'signing',
      })
  }
  walk(optionsSchema.parse({}), [])
  for (const kind of SCHEDULED_KINDS) {
    const path = ['schedules', kind]
    const read: Read = (text) => (/^false$/i.test(text) ? false : text)
    found.push({ name: nameOf(path), path, read, isSecret: false })
  }
  for (const key of ['directory', 'seenAs', 'mode']) {
    const path = ['export', key]
    found.push({ name: nameOf(path), path, read: plain, isSecret: false })
  }
  return found.filter(({ path }) => path.length > 0)
}

/** Names of every variable that {@link optionsFromEnv} reads. */
export const environmentNames = (): readonly string[] => [
  ...[...SERVICE_VARIABLES, ...UPLOAD_VARIABLES].map(({ name }) => name),
  ...OWN,
  ...optionVariables().map(({ name }) => name),
]
