/** The types of options: measures, formats, presets, kinds of entity, proxies, schedules. */
import * as z from 'zod'
import { EFFORTS, type EffortFormat, effortsOf, type LossyFormat, qualitiesOf } from '../model/encoding.js'
import { PLACEHOLDERS } from '../model/entity.js'
import { isPosition, type Position } from '../model/focal-point.js'
import { DURATIONS, readMeasure, SIZES, unitPattern } from '../model/units.js'
import { MAX_SIDE } from '../model/variant.js'

/** A number in the base unit, or text with one of the units. */
function measured(units: Readonly<Record<string, number>>, example: string) {
  return z
    .union([
      z.number().finite().nonnegative(),
      z.string().regex(unitPattern(units), `must be a number or text such as "${example}"`),
    ])
    .transform((value) => readMeasure(value, units) ?? 0)
}
export const duration = measured(DURATIONS, '30 s')
export const bytes = measured(SIZES, '64 MiB')
export const count = z.number().int().nonnegative()
export const positive = z.number().int().positive()
export const format = z.enum(['jpeg', 'png', 'gif', 'webp', 'avif'])
export const urlPath = z
  .string()
  .regex(/^\/[A-Za-z0-9/_.-]*[A-Za-z0-9_-]$/, 'must be an absolute path without a slash at its end')
export const shaped = <T>(holds: (value: unknown) => boolean, rule: string) => z.custom<T>(holds, rule)
export const isFunction = (value: unknown): boolean => typeof value === 'function'
export const has = (value: unknown, ...names: readonly string[]): boolean =>
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
export const quality = perFormat(LOSSY, positive.max(100), () => positive.max(100), qualitiesOf)
export const effort = perFormat(
  WITH_EFFORT,
  count.max(10),
  (name) => count.min(EFFORTS[name][0]).max(EFFORTS[name][1]),
  effortsOf,
)

export const preset = z.strictObject({
  width: positive.max(MAX_SIDE).optional(),
  height: positive.max(MAX_SIDE).optional(),
  fit: z.enum(['inside', 'cover']).optional(),
  position: z
    .custom<Position>(
      (value) => typeof value === 'string' && isPosition(value),
      'must be "attention", or a point in per cent such as "fp35x60"',
    )
    .optional(),
  enlarge: z.boolean().optional(),
  format: format.optional(),
  quality: positive.max(100).optional(),
})
const POOL = /^[A-Za-z0-9_-]{1,64}$/
export const entityKind = z.strictObject({
  variant: z.string().optional(),
  plural: z
    .string()
    .regex(/^[a-z0-9_-]+$/)
    .optional(),
  path: z.string().optional(),
  fields: z.strictObject({ url: z.string().optional(), path: z.string().optional() }).optional(),
  placeholder: z.enum(['', ...PLACEHOLDERS]).optional(),
  ratio: z.union([z.number().positive(), z.string()]).optional(),
  alias: z
    .string()
    .regex(/^[a-z][a-z0-9_]*$/)
    .optional(),
  providers: z.array(z.string().regex(/^[a-z][a-z0-9_]*$/)).optional(),
})

const proxyList = z.array(z.string().min(1)).min(1)
const proxyOptions = z.strictObject({
  pools: z.record(z.string().regex(POOL, 'must be letters, digits, _ and -'), proxyList).default({}),
  files: z.record(z.string().regex(POOL, 'must be letters, digits, _ and -'), z.string().min(1)).default({}),
  strategy: z.enum(['round-robin', 'random']).default('round-robin'),
  restAfter: positive.default(3),
  restFor: duration.default(300_000),
  direct: z.boolean().default(false),
  resolve: z.enum(['proxy', 'here']).default('proxy'),
})
/** Pools alone may be written without the word: `{ foreign: ['http://…'] }`. */
export const proxies = z.preprocess(
  (given: unknown): unknown =>
    typeof given === 'object' && given !== null && Object.values(given).every(Array.isArray)
      ? { pools: given }
      : given,
  proxyOptions,
)

export const RULE_DEFAULTS = { jitter: 300_000, options: {} as Record<string, unknown> }
const rule = z.strictObject({
  cron: z.string().min(1),
  timezone: z.string().min(1).optional(),
  jitter: duration.default(RULE_DEFAULTS.jitter),
  options: z.record(z.string(), z.unknown()).default(RULE_DEFAULTS.options),
})
/** A cron expression alone is the rule with its defaults; false is none. */
export const schedule = z.union([
  z
    .string()
    .min(1)
    .transform((cron) => ({ ...RULE_DEFAULTS, cron })),
  rule,
  z.literal(false),
])
