/** A subject is what a template or an app hands over as "the thing with a picture": an entity, a URL, a path, or nothing. */
import type { EntityId } from './artwork-path.js'
import type { EntityKind } from './entity.js'
import { fieldOf, hasField, idOf, textOf } from './text.js'

/** What a subject says of its picture. */
export interface Subject {
  readonly kind: EntityKind | undefined
  /** The kind that was asked for, whether or not it is known. */
  readonly kindName: string | undefined
  readonly id: EntityId | undefined
  readonly providerIds: readonly EntityId[]
  readonly sourceUrl: string | undefined
  readonly localPath: string | undefined
  /** Whether it has a place for the path of its picture, and nothing is there. */
  readonly lacksPath: boolean
  /** Its fields that the template of its path names. */
  readonly params: Readonly<Record<string, EntityId>>
}

const URL_FIELDS = ['image_url', 'imageUrl', 'cover_url', 'coverUrl'] as const
const PATH_FIELDS = ['image_path', 'imagePath', 'cover_path', 'coverPath'] as const

/**
 * Reads a subject. Nothing that is missing or of another shape throws.
 * @param given an entity (any object with an `id`), a source URL, an artwork path, or nothing
 * @param kindName the kind that was asked for; else what the app says of the entity, its `entity_type`, or its `type`, the
 *   first that is a known kind
 */
export function readSubject(
  given: unknown,
  kindName: string | undefined,
  kinds: ReadonlyMap<string, EntityKind>,
  kindOf?: (entity: object) => unknown,
): Subject {
  const named = kindName === undefined || kindName === '' ? undefined : kinds.get(kindName)
  const text = textOf(given)
  if (text !== undefined) {
    const isUrl = /^[a-z][a-z0-9+.-]*:/i.test(text) || text.startsWith('//')
    const nothing = { id: undefined, providerIds: [], params: {}, lacksPath: false }
    return {
      kind: named,
      kindName,
      sourceUrl: isUrl ? text : undefined,
      localPath: isUrl ? undefined : text,
      ...nothing,
    }
  }
  // Fields are read by their names: an instance of a class has them as getters.
  const entity: object = typeof given === 'object' && given !== null ? given : {}
  const field = (name: string): unknown => fieldOf(entity, name)
  const kind = kindName
    ? named
    : ((kindOf === undefined ? undefined : lookUp(kinds, kindByApp(kindOf, entity))) ??
      lookUp(kinds, field('entity_type')) ??
      lookUp(kinds, field('type')))
  const first = (names: readonly string[]): string | undefined => {
    for (const name of names) {
      const text = textOf(field(name))
      if (text !== undefined) return text
    }
    return undefined
  }
  const pathFields = kind?.fields.path === undefined ? PATH_FIELDS : [kind.fields.path]
  const localPath = first(pathFields)
  return {
    kind,
    kindName,
    id: idOf(field('id')),
    providerIds: providerIdsOf(entity, kind),
    sourceUrl: first(kind?.fields.url === undefined ? URL_FIELDS : [kind.fields.url]),
    localPath,
    lacksPath: localPath === undefined && pathFields.some((name) => hasField(entity, name)),
    params: paramsOf(entity, kind),
  }
}

/** The fields of an entity that the template of its path names. */
function paramsOf(entity: object, kind: EntityKind | undefined): Record<string, EntityId> {
  const found: Record<string, EntityId> = {}
  for (const name of kind?.params ?? []) {
    const value = idOf(fieldOf(entity, name))
    if (value !== undefined) found[name] = value
  }
  return found
}

/** The kind that the app tells; its own mistakes are nothing to a page. */
function kindByApp(kindOf: (entity: object) => unknown, entity: object): unknown {
  try {
    const found = kindOf(entity)
    // Templates do not wait: what comes later is nothing, and hurts nobody.
    if (found instanceof Promise) found.catch(() => {})
    return found
  } catch {
    return undefined
  }
}

/**
 * Kinds of source that a subject's texts may be of where they do not say themselves, best first: what was asked for, else the
 * entity's kind, else what that is a picture like.
 */
export const sourceKindsOf = ({
  kindName,
  kind,
}: {
  readonly kindName?: string | undefined
  readonly kind?: EntityKind | undefined
}): readonly string[] =>
  [kindName, kind?.kind, kind?.placeholder].filter((name) => name !== undefined && name !== '') as string[]

/** The names of the fields that hold an id at a provider. */
const providerFields = (provider: string): readonly [string, string, string] => [
  provider,
  `${provider}_id`,
  `${provider}Id`,
]
const fieldsOfProviders = new WeakMap<EntityKind, readonly (readonly [string, string, string])[]>()
function fieldsOf(kind: EntityKind): readonly (readonly [string, string, string])[] {
  const known = fieldsOfProviders.get(kind)
  if (known !== undefined) return known
  const fields = kind.providers.map(providerFields)
  fieldsOfProviders.set(kind, fields)
  return fields
}

const lookUp = (kinds: ReadonlyMap<string, EntityKind>, name: unknown): EntityKind | undefined =>
  kinds.get(textOf(name) ?? '')

/** Ids at providers, by priority: from `provider_ids`, or fields such as `spotify_id`. */
function providerIdsOf(entity: object, kind: EntityKind | undefined): readonly EntityId[] {
  if (kind === undefined) return NO_IDS
  const listed = fieldOf(entity, 'provider_ids') ?? fieldOf(entity, 'providerIds')
  const table = typeof listed === 'object' && listed !== null ? listed : undefined
  const ids: EntityId[] = []
  for (const [provider, snake, camel] of fieldsOf(kind)) {
    const id =
      (table === undefined ? undefined : idOf(fieldOf(table, provider))) ??
      idOf(fieldOf(entity, snake)) ??
      idOf(fieldOf(entity, camel))
    if (id !== undefined) ids.push(id)
  }
  return ids
}
const NO_IDS: readonly EntityId[] = []
