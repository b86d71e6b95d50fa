/**
 * Every option, its default and its unit, settled once and frozen. Durations are milliseconds or text with a
 * unit (`'3 s'`, `'7 d'`), sizes bytes or text (`'64 MiB'`). A bad option is told with its name, rule and value.
 */
import type { IncomingMessage } from 'node:http'
import type { LookupFunction } from 'node:net'
import { availableParallelism, hostname } from 'node:os'
import { resolve } from 'node:path'
import { z } from 'zod'
import { EFFORTS, type EffortFormat, effortsOf, type LossyFormat, qualitiesOf } from '../model/encoding.js'
import { type EntityKind, type EntityKindOptions, PLACEHOLDERS, settleKinds } from '../model/entity.js'
import { SCHEDULED_KINDS, type ScheduledKind } from '../model/job-kinds.js'
import { consoleLogger, type Logger } from '../model/logger.js'
import { type BoundedRepository, bounded, type Repository } from '../model/repository.js'
import { DURATIONS, readMeasure, SIZES, unitPattern } from '../model/units.js'
import { MAX_SIDE, type Preset, parseVariant, presetNameProblem } from '../model/variant.js'
import { viaOf } from '../model/via.js'
import { isExactOrigin } from '../model/web-url.js'
import type { Source } from '../sources/source.js'
import { isUploadSource, outgoing } from '../sources/uploads.js'

/** A number in the base unit, or text with one of the units. */
function measured(units: Readonly<Record<string, number>>, example: string) {
  return z
    .union([
      z.number().finite().nonnegative(),
      z.string().regex(unitPattern(units), `must be a number or text such as "${example}"`),
    ])
    .transform((value) => readMeasure(value, units) ?? 0)
}
const duration = measured(DURATIONS, '30 s')
const bytes = measured(SIZES, '64 MiB')
const count = z.number().int().nonnegative()
const positive = z.number().int().positive()
const format = z.enum(['jpeg', 'png', 'gif', 'webp', 'avif'])
const urlPath = z
  .string()
  .regex(/^\/[A-Za-z0-9/_.-]*[A-Za-z0-9_-]$/, 'must be an absolute path without a slash at its end')
const shaped = <T>(holds: (value: unknown) => boolean, rule: string) => z.custom<T>(holds, rule)
const isFunction = (value: unknown): boolean => typeof value === 'function'
const has = (value: unknown, ...names: readonly string[]): boolean =>
  typeof value === 'object' && value !== null && names.every((name) => isFunction(Reflect.get(value, name)))

const LOSSY = ['jpeg', 'webp', 'avif'] as const satisfies readonly LossyFormat[]
const WITH_EFFORT = ['webp', 'avif', 'gif', 'png'] as const satisfies readonly EffortFormat[]
/** A number for all formats, or one for each; what is left out has its default. */
function perFormat<Name extends string, Whole>(
  names: readonly Name[],
  number: z.ZodNumber,
  rule: (name: Name) => z.ZodNumber,
  settle: (given: number | Partial<Record<Name, number>>) => Whole,
) {
  const each = z.strictObject(
    Object.fromEntries(names.map((name) => [name, rule(name).optional()])) as Record<
      Name,
      z.ZodOptional<z.ZodNumber>
    >,
  )
  return z
    .union([number, each])
    .transform((given) => settle(given as number | Partial<Record<Name, number>>))
    .prefault({} as never)
}

const preset = z.strictObject({
  width: positive.max(MAX_SIDE).optional(),
  height: positive.max(MAX_SIDE).optional(),
  fit: z.enum(['inside', 'cover']).optional(),
  enlarge: z.boolean().optional(),
  format: format.optional(),
  quality: positive.max(100).optional(),
})
const POOL = /^[A-Za-z0-9_-]{1,64}$/
const entityKind = z.strictObject({
  variant: z.string().optional(),
  plural: z
    .string()
    .regex(/^[a-z0-9_-]+$/)
    .optional(),
  path: z.string().optional(),
  fields: z.strictObject({ url: z.string().optional(), path: z.string().optional() }).optional(),
  placeholder: z.enum(['', ...PLACEHOLDERS]).optional(),
  alias: z
    .string()
    .regex(/^[a-z][a-z0-9_]*$/)
    .optional(),
  providers: z.array(z.string().regex(/^[a-z][a-z0-9_]*$/)).optional(),
})

const proxyList = z.array(z.string().min(1)).min(1)
const proxies = z.strictObject({
  pools: z.record(z.string().regex(POOL, 'must be letters, digits, _ and -'), proxyList).default({}),
  files: z.record(z.string().regex(POOL, 'must be letters, digits, _ and -'), z.string().min(1)).default({}),
  strategy: z.enum(['round-robin', 'random']).default('round-robin'),
  restAfter: positive.default(3),
  restFor: duration.default(300_000),
  direct: z.boolean().default(false),
  resolve: z.enum(['proxy', 'here']).default('proxy'),
})
/** Pools alone may be written without the word: `{ foreign: ['http://…'] }`. */
const asPools = (given: unknown): unknown =>
  typeof given === 'object' && given !== null && Object.values(given).every(Array.isArray)
    ? { pools: given }
    : given

const template = z.string().min(1).optional()
const RULE_DEFAULTS = { jitter: 300_000, options: {} as Record<string, unknown> }
const rule = z.strictObject({
  cron: z.string().min(1),
  timezone: z.string().min(1).optional(),
  jitter: duration.default(RULE_DEFAULTS.jitter),
  options: z.record(z.string(), z.unknown()).default(RULE_DEFAULTS.options),
})
/** A cron expression alone is the rule with its defaults; false is none. */
const schedule = z.union([
  z
    .string()
    .min(1)
    .transform((cron) => ({ ...RULE_DEFAULTS, cron })),
  rule,
  z.literal(false),
])

const anySchedules = Object.fromEntries(SCHEDULED_KINDS.map((kind) => [kind, schedule.optional()])) as Record<
  ScheduledKind,
  z.ZodOptional<typeof schedule>
>

/** The schema of the options: the table in the README is checked against it. */
export const optionsSchema = z.strictObject({
  directory: z.string().min(1).default('./data'),
  sources: z
    .array(
      shaped<Source>(
        (value) => has(value, 'check', 'locate', 'claim', 'isNative'),
        'must be made by tmdb(), remote() …',
      ),
    )
    .default([]),
  entities: z.record(z.string(), entityKind).default({}),
  repository: shaped<Repository>(
    (value) => typeof value === 'object' && value !== null,
    'must be an object',
  ).optional(),
  clientOf: shaped<(req: IncomingMessage) => string | undefined>(
    isFunction,
    'must be a function of a request',
  ).optional(),
  kindOf: shaped<(entity: object) => string | null | undefined>(
    isFunction,
    'must be a function of an entity',
  ).optional(),
  urls: z
    .strictObject({
      base: z
        .string()
        .regex(
          /^(?:https?:\/\/[^\s/?#]+)?(?:\/[^\s?#/]+)*\/?$/,
          'must be an absolute http or https URL, or a path such as "/shop"',
        )
        .transform((text) => text.replace(/\/$/, ''))
        .default(''),
      local: urlPath.default('/artwork/local'),
      images: urlPath.default('/images'),
      placeholders: urlPath.default('/static/images'),
    })
    .prefault({}),
  private: z.boolean().default(false),
  cacheStatus: z.boolean().default(true),
  cdnCacheControl: z.union([z.boolean(), duration]).default(false),
  cacheTags: z.union([z.boolean(), z.enum(['Cache-Tag', 'Surrogate-Key', 'xkey'])]).default(false),
  onPurge: shaped<(urls: readonly string[], tags: readonly string[]) => unknown>(
    isFunction,
    'must be a function',
  ).optional(),
  sendTimeout: duration.default(120_000),
  cors: z.union([z.string(), z.literal(false)]).default('*'),
  memory: z.strictObject({ maxBytes: bytes.default(64 * 1024 ** 2) }).prefault({}),
  disk: z
    .strictObject({
      required: z.boolean().default(false),
      maxBytes: bytes.default(10 * 1024 ** 3),
      maxNames: positive.default(500_000),
    })
    .prefault({}),
  freshness: z
    .strictObject({
      maxAge: duration.default(7 * 864e5),
      staleWhileRevalidate: duration.default(864e5),
      staleIfError: duration.default(30 * 864e5),
      upstream: z.enum(['bounded', 'strict']).default('bounded'),
    })
    .prefault({}),
  fetch: z
    .strictObject({
      maxBytes: bytes.default(10 * 1024 ** 2),
      connectTimeout: duration.default(3000),
      firstByteTimeout: duration.default(5000),
      idleTimeout: duration.default(5000),
      minBytesPerSecond: count.default(1024),
      totalTimeout: duration.default(30_000),
      retries: count.default(3),
      maxRedirects: count.default(3),
      maxSockets: positive.default(10),
      perHost: positive.default(6),
      ports: z.array(positive.max(65_535)).default([80, 443]),
      allowIpLiterals: z.boolean().default(false),
      allowPrivate: z
        .array(
          z
            .string()
            .regex(/^(?:\[[0-9a-f:.]+\]|[a-z0-9_.-]+):\d{1,5}$/i, 'must be exact "host:port" texts')
            // As a URL has it.
            .transform((text) => text.toLowerCase().replace(/\.(?=:\d+$)/, '')),
        )
        .default([]),
      publicOrigins: z
        .array(z.url({ protocol: /^https?$/ }).transform((text) => new URL(text).origin))
        .default([]),
      lookup: shaped<LookupFunction>(isFunction, 'must be a function like dns.lookup').optional(),
      proxies: z.preprocess(asPools, proxies).optional(),
      userAgent: z
        .string()
        .regex(/^[\x20-\x7e]+$/)
        .default('express-artwork/0.1'),
    })
    .prefault({}),
  transform: z
    .strictObject({
      maxPixels: positive.default(50e6),
      maxAvifPixels: positive.default(16e6),
      maxFrames: positive.default(100),
      formats: z.array(format).min(1).default(['jpeg', 'png', 'gif', 'webp']),
      quality: perFormat(LOSSY, positive.max(100), () => positive.max(100), qualitiesOf),
      effort: perFormat(
        WITH_EFFORT,
        count.max(10),
        (name) => count.min(EFFORTS[name][0]).max(EFFORTS[name][1]),
        effortsOf,
      ),
      concurrency: positive.default(Math.min(4, availableParallelism())),
      queue: count.default(64),
      timeout: duration.default(10_000),
      waitTimeout: duration.default(10_000),
      maxMemory: bytes.default(768 * 1024 ** 2),
      isolate: z.boolean().default(true),
      sandbox: z.array(z.string().min(1)).default([]),
    })
    .prefault({}),
  manage: z
    .strictObject({
      authorize: shaped<
        (req: IncomingMessage) => boolean | 'unauthenticated' | Promise<boolean | 'unauthenticated'>
      >(isFunction, 'must be a function of a request').optional(),
      cors: z
        .array(
          z
            .string()
            .refine(
              isExactOrigin,
              'must be exact origins such as "https://app.example.com", without a path or a *',
            ),
        )
        .default([]),
      templates: z
        .strictObject({
          layout: template,
          overview: template,
          images: template,
          image: template,
          jobs: template,
          job: template,
          failures: template,
          problem: template,
        })
        .prefault({}),
    })
    .prefault({}),
  export: z
    .strictObject({
      directory: z.string().min(1).optional(),
      seenAs: z.string().min(1).optional(),
      mode: z
        .union([
          z.number().int().min(0).max(0o777),
          z.string().regex(/^0?[0-7]{3}$/, 'must be rights such as "640"'),
        ])
        .transform((given) => (typeof given === 'string' ? Number.parseInt(given, 8) : given))
        .optional(),
    })
    .prefault({}),
  schedules: z
    .strictObject({
      ...anySchedules,
      cleanup: schedule.default({ ...RULE_DEFAULTS, cron: '0 3 * * *' }),
    })
    .prefault({}),
  presets: z.record(z.string(), preset).default({}),
  widths: z.array(positive.max(MAX_SIDE)).default([]),
  strict: z.boolean().default(true),
  signing: z
    .strictObject({ keys: z.array(z.string().min(16, 'must be at least 16 characters each')).default([]) })
    .prefault({}),
  heal: z.enum(['placeholder', 'redirect']).default('placeholder'),
  logger: shaped<Logger>(
    (value) => has(value, 'debug', 'info', 'warn', 'error'),
    'must be shaped like pino',
  ).default(consoleLogger),
  now: shaped<() => number>(isFunction, 'must be a function that answers milliseconds').default(
    () => Date.now,
  ),
})

/** The options as an app writes them: every one may be left out. */
export interface ArtworkOptions extends Omit<z.input<typeof optionsSchema>, 'entities' | 'presets'> {
  /** Kinds of entity beside the built-in ones, and changes to those. */
  entities?: Readonly<Record<string, EntityKindOptions>>
  /** Named variants. */
  presets?: Readonly<Record<string, Preset>>
}

/** The options as the toolkit uses them: complete, checked, frozen. */
export interface Settings extends Readonly<Omit<z.output<typeof optionsSchema>, 'entities' | 'repository'>> {
  readonly repository: BoundedRepository | undefined
  readonly kinds: ReadonlyMap<string, EntityKind>
}

/** How the toolkit with these settings signs itself in `Via`. */
export const ownVia = ({ directory }: Pick<Settings, 'directory'>): string =>
  viaOf(`${hostname()} ${resolve(directory)}`)

/** How long the app's own records may take, ms. */
const REPOSITORY_TIMEOUT = 30_000

/** Checks and completes options. @throws TypeError that names the option, the rule and the value */
export function settleOptions(given: ArtworkOptions = {}): Settings {
  const parsed = optionsSchema.safeParse(given)
  if (!parsed.success)
    throw new TypeError(parsed.error.issues.map((issue) => explain(issue, given)).join('; '))
  const { entities, ...told } = parsed.data
  const sources = apart(told.sources)
  const settings = { ...told, sources, presets: { ...presetsOf(told.sources), ...told.presets } }
  for (const name of Object.keys(settings.presets)) {
    const problem = presetNameProblem(name)
    if (problem !== undefined) throw new TypeError(`presets.${name} ${problem}`)
  }
  checkSources(settings.sources, settings.signing.keys)
  const kinds = settleKinds(entities)
  const rules = { presets: settings.presets, encoding: settings.transform }
  for (const { kind, variant } of kinds.values()) {
    try {
      if (parseVariant(variant, rules).format !== undefined) throw new Error('has a format')
    } catch {
      throw new TypeError(
        `entities.${kind}.variant must be a variant without format and quality, such as "w300", "w300-h300", "w300-h300-cover", "original" or the name of a preset, got ${JSON.stringify(variant)}`,
      )
    }
  }
  return Object.freeze({ ...settings, repository: bounded(settings.repository, REPOSITORY_TIMEOUT), kinds })
}

/** The sources, each with kinds of its own: what one answers for is no namespace of uploads. */
function apart(sources: readonly Source[]): Source[] {
  return sources.map((source) => {
    if (!isUploadSource(source)) return source
    const others = sources.filter((other) => other !== source)
    return outgoing(source, new Set(others.flatMap(({ kinds }) => kinds)))
  })
}

/** The presets that sources bring along. @throws TypeError */
function presetsOf(sources: readonly Source[]): Record<string, z.output<typeof preset>> {
  const found: Record<string, z.output<typeof preset>> = {}
  for (const source of sources) {
    const parsed = z.record(z.string(), preset).safeParse(source.presets ?? {})
    if (!parsed.success)
      throw new TypeError(
        parsed.error.issues
          .map((issue) => `${source.name}.presets.${explain(issue, source.presets)}`)
          .join('; '),
      )
    Object.assign(found, parsed.data)
  }
  return found
}

/** Of a choice between forms, what is wrong with the form that was meant. */
function meant(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue
  const form = issue.errors.find(([first]) => first !== undefined && first.code !== 'invalid_type')
  const [inner] = form ?? []
  return inner === undefined ? issue : meant({ ...inner, path: [...issue.path, ...inner.path] })
}

function explain(told: z.core.$ZodIssue, given: unknown): string {
  const issue = meant(told)
  const name = issue.path.map(String).join('.')
  const value = issue.path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
    given,
  )
  const isSecret = /^(?:fetch\.proxies|signing)\b/.test(name)
  const shown = isSecret
    ? 'a value that may hold secrets'
    : typeof value === 'function'
      ? 'a function'
      : JSON.stringify(value)
  if (issue.code === 'unrecognized_keys')
    return `${[name, issue.keys.join(', ')].filter(Boolean).join('.')} is no option`
  return `${name || 'options'}: ${issue.message}, got ${shown}`
}

function checkSources(sources: readonly Source[], keys: readonly string[]): void {
  const owners = new Map<string, string>()
  for (const source of sources) {
    if ('openToAll' in source && source.openToAll === true && keys.length === 0)
      throw new TypeError('remote.hosts "*" is only allowed with signing.keys: it would make an open proxy')
    for (const kind of source.kinds) {
      const other = owners.get(kind)
      if (other !== undefined)
        throw new TypeError(`sources: ${other} and ${source.name} both answer for ${kind}`)
      owners.set(kind, source.name)
    }
  }
}
