/** The settings: options checked, completed and frozen. A bad option is reported with its name, rule and value. */
import { randomUUID } from 'node:crypto'
import { hostname, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import * as z from 'zod'
import { type EntityKind, type EntityKindOptions, formatOfKind, settleKinds } from '../model/entity.js'
import { viaOf } from '../model/loop-detection.js'
import { type BoundedRepository, bounded } from '../model/repository.js'
import type { Urls } from '../model/urls.js'
import { parseVariant, presetNameProblem, type VariantRules } from '../model/variant.js'
import type { Source } from '../sources/source.js'
import { isUploadSource, outgoing } from '../sources/uploads.js'
import type { ArtworkOptions } from './artwork-options.js'
import { preset } from './option-types.js'
import { optionsSchema } from './schema.js'

/** The options as the toolkit uses them: complete, checked, frozen. */
export interface Settings
  extends Readonly<Omit<z.output<typeof optionsSchema>, 'entities' | 'repository' | 'urls'>> {
  readonly urls: Urls
  readonly repository: BoundedRepository | undefined
  readonly kinds: ReadonlyMap<string, EntityKind>
  /** The app lists no widths of its own: sources with native ones print those first. */
  readonly areWidthsDefault: boolean
  /** The directory is this toolkit's alone. */
  readonly isTemporary: boolean
}

/** The entry in `Via` of a toolkit with these settings. */
export const ownVia = ({ directory }: Pick<Settings, 'directory'>): string =>
  viaOf(`${hostname()} ${resolve(directory)}`)

/** How long the app's own records may take, ms. */
const REPOSITORY_TIMEOUT = 30_000

/** What is parsed once is not worth being compiled first. */
const ONCE = { jitless: true }

/** Checks and completes options. @throws TypeError that names the option, the rule and the value */
export function settleOptions(given: ArtworkOptions = {}): Settings {
  const parsed = optionsSchema.safeParse(given, ONCE)
  if (!parsed.success)
    throw new TypeError(parsed.error.issues.map((issue) => explain(issue, given)).join('; '))
  const { entities, ...rest } = parsed.data
  const sources = separateKinds(rest.sources)
  const settings = { ...rest, sources, presets: { ...presetsOf(rest.sources), ...rest.presets } }
  for (const name of Object.keys(settings.presets)) {
    const problem = presetNameProblem(name)
    if (problem !== undefined) throw new TypeError(`presets.${name} ${problem}`)
  }
  checkSources(settings.sources, settings.signing.keys)
  const kinds = settleKinds(entities)
  checkVariants(kinds, { presets: settings.presets, encoding: settings.transform })
  checkFormats(kinds, entities, settings.transform.formats)
  const isOffline = settings.offline !== false
  const isTemporary = isOffline && given.directory === undefined
  const withPaths = settings.sources.filter(({ idOf }) => idOf !== undefined)
  return Object.freeze({
    ...settings,
    ...(isTemporary && { directory: join(tmpdir(), `express-artwork-${randomUUID()}`) }),
    isTemporary,
    // No browser of a test goes to a CDN either.
    display: { ...settings.display, requireLocal: settings.display.requireLocal || isOffline },
    urls: { ...settings.urls, pathKinds: new Set(withPaths.flatMap((source) => source.kinds)) },
    repository: bounded(settings.repository, REPOSITORY_TIMEOUT),
    kinds,
    areWidthsDefault: given.widths === undefined,
  })
}

/** A path that the app gives a kind ends in a format that pictures are made in. */
function checkFormats(
  kinds: ReadonlyMap<string, EntityKind>,
  given: Readonly<Record<string, EntityKindOptions>>,
  formats: readonly string[],
): void {
  for (const kind of kinds.values()) {
    const format = formatOfKind(kind)
    if (given[kind.kind]?.path !== undefined && !formats.includes(format))
      throw new TypeError(
        `entities.${kind.kind}.path ends in ${format}, which is none of transform.formats, got ${JSON.stringify(kind.path)}`,
      )
  }
}

function checkVariants(kinds: ReadonlyMap<string, EntityKind>, rules: VariantRules): void {
  for (const { kind, variant } of kinds.values())
    try {
      if (parseVariant(variant, rules).format !== undefined) throw new Error('has a format')
    } catch {
      throw new TypeError(
        `entities.${kind}.variant must be a variant without format and quality, such as "w300", "w300-h300", "w300-h300-cover", "original" or the name of a preset, got ${JSON.stringify(variant)}`,
      )
    }
}

/** The sources, each with kinds of its own: what another source answers for is no namespace of uploads. */
function separateKinds(sources: readonly Source[]): Source[] {
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
    const parsed = z.record(z.string(), preset).safeParse(source.presets ?? {}, ONCE)
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

/** Of a choice between forms, the problem of the form that was meant. */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue
  const form = issue.errors.find(([first]) => first !== undefined && first.code !== 'invalid_type')
  const [inner] = form ?? []
  return inner === undefined ? issue : innermost({ ...inner, path: [...issue.path, ...inner.path] })
}

function explain(outer: z.core.$ZodIssue, given: unknown): string {
  const issue = innermost(outer)
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
