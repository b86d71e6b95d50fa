/**
 * Options from environment variables, for the service: the names that the hosting service of old had, and
 * `ARTWORK_` with the path of any other option (`fetch.maxBytes` is `ARTWORK_FETCH_MAX_BYTES`). A wrong value is
 * told with the name of its variable, the rule and the value; secrets are never repeated.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import { SCHEDULED_KINDS } from '../model/job-kinds.js'
import { remote } from '../sources/remote.js'
import type { Source } from '../sources/source.js'
import { tmdb } from '../sources/tmdb.js'
import { type UploadsOptions, uploads } from '../sources/uploads.js'
import { type ArtworkOptions, optionsSchema } from './settings.js'

/** Variables and their texts, such as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

type Path = readonly string[]
type Tree = { [key: string]: unknown }

/** What a variable's text is read as. @throws Error with the rule */
type Read = (text: string) => unknown

const rule = (text: string): never => {
  throw new Error(text)
}
const wholeNumber =
  (least: number): Read =>
  (text) =>
    /^\d{1,15}$/.test(text) && Number(text) >= least
      ? Number(text)
      : rule(`must be a whole number from ${least}`)
const secondsAsMs: Read = (text) =>
  /^\d{1,9}(?:\.\d+)?$/.test(text) ? Math.round(Number(text) * 1000) : rule('must be a number of seconds')
const json: Read = (text) => {
  try {
    return JSON.parse(text)
  } catch {
    return rule('must be JSON')
  }
}
const list: Read = (text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
const flag: Read = (text) =>
  /^(?:true|false|1|0)$/i.test(text) ? /^(?:true|1)$/i.test(text) : rule('must be true or false')
const plain: Read = (text) => text
const numberOrText: Read = (text) => (/^\d+(?:\.\d+)?$/.test(text) ? Number(text) : text)

interface Variable {
  readonly name: string
  readonly path: Path
  readonly read: Read
  readonly isSecret?: boolean
}

/** The documented names of the hosting service (PARITY 38), by the option each sets. */
const HOSTING: readonly Variable[] = [
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
const UPLOADS: readonly Variable[] = [
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
/** Variables that are read here by their own rules. */
const OWN = [
  'FETCH_TIMEOUT',
  'ARTWORK_UPLOAD_TOKEN',
  'ARTWORK_TMDB',
  'ARTWORK_REMOTE_HOSTS',
  'ARTWORK_LOG_LEVEL',
  'ARTWORK_MANAGE_TOKEN',
]
/** What Kubernetes sets beside a service of the name `artwork`. */
const OF_OTHERS = /^ARTWORK_(?:SERVICE_HOST|SERVICE_PORT|PORT)(?:_|$)/
/** Seconds that a fetch may take between two bytes, where `FETCH_TIMEOUT` says nothing. */
const FETCH_TIMEOUT = '15.0'
/** Options that no text can hold. */
const NO_TEXT = new Set([
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
function optionVariables(): readonly Variable[] {
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
  ...[...HOSTING, ...UPLOADS].map(({ name }) => name),
  ...OWN,
  ...optionVariables().map(({ name }) => name),
]

function put(tree: Tree, path: Path, value: unknown): void {
  const [key = '', ...rest] = path
  if (rest.length === 0) {
    tree[key] = value
    return
  }
  const inner = tree[key]
  const next: Tree = typeof inner === 'object' && inner !== null ? (inner as Tree) : {}
  tree[key] = next
  put(next, rest, value)
}

/** A value as it may be shown. */
const shown = (variable: Pick<Variable, 'isSecret' | 'name'>, text: string): string => {
  return variable.isSecret ? 'a text that may hold secrets' : JSON.stringify(text)
}

/**
 * The options that environment variables ask for, with `uploads()` among the sources.
 * @throws TypeError that names each wrong variable, its rule and its value
 */
export function optionsFromEnv(env: Environment = process.env): ArtworkOptions {
  const problems: string[] = []
  const used = new Map<string, Variable>()
  const take = (variables: readonly Variable[]): Tree => {
    const tree: Tree = {}
    for (const variable of variables) {
      const text = env[variable.name]
      if (text === undefined || text === '') continue
      try {
        put(tree, variable.path, variable.read(text))
        used.set(variable.path.join('.'), variable)
      } catch (error) {
        const why = error instanceof Error ? error.message : ''
        problems.push(`${variable.name} ${why}, got ${shown(variable, text)}`)
      }
    }
    return tree
  }
  const options = take([...HOSTING, ...optionVariables()])
  const known = new Set(environmentNames())
  for (const name of Object.keys(env))
    if (name.startsWith('ARTWORK_') && !known.has(name) && !OF_OTHERS.test(name))
      problems.push(`${name} is no variable that is known`)
  setTimeouts(options, env, problems)
  const parsed = optionsSchema.safeParse(options)
  for (const issue of parsed.success ? [] : parsed.error.issues) problems.push(explain(issue, used, env))
  const sources = sourcesFrom(env, take(UPLOADS) as UploadsOptions, problems)
  if (problems.length > 0) throw new TypeError([...new Set(problems)].join('; '))
  const manage = env.ARTWORK_MANAGE_TOKEN
  const opened =
    manage === undefined || manage === '' ? {} : { manage: { authorize: asGuard(holdsToken(manage, true)) } }
  return { ...(options as ArtworkOptions), ...opened, sources }
}

/** A source may be silent for so long, and all attempts together take as often as there are attempts. */
function setTimeouts(options: Tree, env: Environment, problems: string[]): void {
  try {
    const each = Number(secondsAsMs(env.FETCH_TIMEOUT || FETCH_TIMEOUT))
    if (each === 0) rule('must be more than 0 seconds')
    const given = typeof options.fetch === 'object' && options.fetch !== null ? (options.fetch as Tree) : {}
    const retries = typeof given.retries === 'number' ? given.retries : 3
    options.fetch = {
      firstByteTimeout: each,
      idleTimeout: each,
      totalTimeout: each * (retries + 1),
      ...given,
    }
  } catch (error) {
    problems.push(
      `FETCH_TIMEOUT ${error instanceof Error ? error.message : ''}, got ${JSON.stringify(env.FETCH_TIMEOUT)}`,
    )
  }
}

function explain(issue: z.core.$ZodIssue, used: ReadonlyMap<string, Variable>, env: Environment): string {
  const path = issue.path.map(String)
  for (let length = path.length; length > 0; length -= 1) {
    const variable = used.get(path.slice(0, length).join('.'))
    if (variable !== undefined)
      return `${variable.name} ${issue.message}, got ${shown(variable, env[variable.name] ?? '')}`
  }
  return `${path.join('.')}: ${issue.message}`
}

/** The sources that the variables ask for; uploads are always among them, and closed without a token. */
function sourcesFrom(env: Environment, own: UploadsOptions, problems: string[]): Source[] {
  const token = env.ARTWORK_UPLOAD_TOKEN
  const sources: Source[] = []
  const add = (name: string, make: () => Source): void => {
    try {
      sources.push(make())
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      problems.push(`${nameBehind(why) ?? name}: ${why}`)
    }
  }
  const where = env.ARTWORK_TMDB ?? ''
  if (/^(?:true|1)$/i.test(where)) add('ARTWORK_TMDB', () => tmdb())
  else if (where !== '' && !/^(?:false|0)$/i.test(where)) add('ARTWORK_TMDB', () => tmdb({ baseUrl: where }))
  const hosts = env.ARTWORK_REMOTE_HOSTS ?? ''
  if (hosts !== '') add('ARTWORK_REMOTE_HOSTS', () => remote({ hosts: list(hosts) as string[] }))
  const authorize = token === undefined || token === '' ? {} : { authorize: asGuard(holdsToken(token)) }
  add('uploads', () => uploads({ ...own, ...authorize }))
  return sources
}

/** A guard that asks for a token where none that is right was sent. */
const asGuard =
  (holds: (req: IncomingMessage) => boolean) =>
  (req: IncomingMessage): true | 'unauthenticated' =>
    holds(req) || 'unauthenticated'

/** The variable behind a complaint about an option of uploads. */
function nameBehind(why: string): string | undefined {
  const option = /^uploads\.([a-zA-Z]+)/.exec(why)?.[1]
  return UPLOADS.find(({ path }) => path[0] === option)?.name
}

/**
 * Whether a request bears a token (RFC 6750), or, where that will do, has it as its password (RFC 7617), as browsers
 * ask for one. The comparison takes the same time for all.
 */
export function holdsToken(token: string, mayBePassword = false): (req: IncomingMessage) => boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  const wanted = digest(token)
  return (req) => {
    const { authorization = '' } = req.headers
    const [, bearer] = /^Bearer +([^\s]+)\s*$/i.exec(authorization) ?? []
    const [, basic] = /^Basic +([^\s]+)\s*$/i.exec(authorization) ?? []
    const password =
      basic === undefined || !mayBePassword
        ? undefined
        : /^[^:]*:(.*)$/s.exec(Buffer.from(basic, 'base64').toString('utf8'))?.[1]
    const given = bearer ?? password
    return given !== undefined && timingSafeEqual(digest(given), wanted)
  }
}
