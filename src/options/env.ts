/**
 * Options from environment variables, for the service (`fetch.maxBytes` is `ARTWORK_FETCH_MAX_BYTES`). A wrong value is
 * reported with the name of its variable, the rule and the value; secrets are never repeated.
 */
import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import { remote } from '../sources/remote.js'
import type { Source } from '../sources/source.js'
import { tmdb } from '../sources/tmdb.js'
import { type UploadsOptions, uploads } from '../sources/uploads.js'
import type { ArtworkOptions } from './artwork-options.js'
import {
  environmentNames,
  list,
  optionVariables,
  type Path,
  rule,
  SERVICE_VARIABLES,
  secondsAsMs,
  UPLOAD_VARIABLES,
  type Variable,
} from './env-variables.js'
import { optionsSchema } from './schema.js'
import { holdsToken } from './token.js'

/** Variables and their texts, such as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

type Tree = { [key: string]: unknown }

/** What Kubernetes sets beside a service of the name `artwork`. */
const OF_OTHERS = /^ARTWORK_(?:SERVICE_HOST|SERVICE_PORT|PORT)(?:_|$)/
/** Seconds that a fetch may take between two bytes, where `FETCH_TIMEOUT` says nothing. */
const FETCH_TIMEOUT = '15.0'
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

/** A value as it may be printed. */
const printable = ({ isSecret }: Variable, text: string): string =>
  isSecret ? 'a text that may hold secrets' : JSON.stringify(text)

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
        problems.push(`${variable.name} ${why}, got ${printable(variable, text)}`)
      }
    }
    return tree
  }
  const options = take([...SERVICE_VARIABLES, ...optionVariables()])
  const known = new Set(environmentNames())
  for (const name of Object.keys(env))
    if (name.startsWith('ARTWORK_') && !known.has(name) && !OF_OTHERS.test(name))
      problems.push(`${name} is no variable that is known`)
  setTimeouts(options, env, problems)
  const parsed = optionsSchema.safeParse(options)
  for (const issue of parsed.success ? [] : parsed.error.issues) problems.push(explain(issue, used, env))
  const sources = sourcesFrom(env, take(UPLOAD_VARIABLES) as UploadsOptions, problems)
  if (problems.length > 0) throw new TypeError([...new Set(problems)].join('; '))
  const manage = env.ARTWORK_MANAGE_TOKEN
  const opened =
    manage === undefined || manage === ''
      ? {}
      : { manage: { authorize: authorizeBy(holdsToken(manage, true)) } }
  return { ...(options as ArtworkOptions), ...opened, sources }
}

/** `FETCH_TIMEOUT` bounds one silence of a source; all attempts together take it once each. */
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
      return `${variable.name} ${issue.message}, got ${printable(variable, env[variable.name] ?? '')}`
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
  const authorize = token === undefined || token === '' ? {} : { authorize: authorizeBy(holdsToken(token)) }
  add('uploads', () => uploads({ ...own, ...authorize }))
  return sources
}

/** Authorization by a token. */
const authorizeBy =
  (holds: (req: IncomingMessage) => boolean) =>
  (req: IncomingMessage): true | 'unauthenticated' =>
    holds(req) || 'unauthenticated'

/** The variable of the option of uploads that an error names. */
function nameBehind(why: string): string | undefined {
  const option = /^uploads\.([a-zA-Z]+)/.exec(why)?.[1]
  return UPLOAD_VARIABLES.find(({ path }) => path[0] === option)?.name
}
