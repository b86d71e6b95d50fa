/** A subject is what a template or an app hands over as "the thing with a picture": an entity, a URL, a path, or nothing. */
import type { EntityId } from './artwork-path.js'
import type { EntityKind } from './entity.js'

/** What a subject says of its picture. */
export interface Subject {
  readonly kind: EntityKind | undefined
  readonly id: EntityId | undefined
  readonly providerIds: readonly EntityId[]
  readonly sourceUrl: string | undefined
  readonly localPath: string | undefined
  /** Whether it has a place for the path of its picture, and nothing is there. */
  readonly lacksPath: boolean
  /** Its plain fields, for the other names in a path template. */
  readonly params: Readonly<Record<string, EntityId>>
}

const URL_FIELDS = ['image_url', 'imageUrl', 'cover_url', 'coverUrl'] as const
const PATH_FIELDS = ['image_path', 'imagePath', 'cover_path', 'coverPath'] as const

const isId = (value: unknown): value is EntityId =>
  (typeof value === 'string' && value !== '') || typeof value === 'number' || typeof value === 'bigint'

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

/**
 * Reads a subject. Nothing that is missing or of another shape throws.
 * @param given an entity (any object with an `id`), a source URL, an artwork path, or nothing
 * @param kindName the kind that was asked for; else the entity's `entity_type`, else its `type` where that is a known kind
 */
export function readSubject(
  given: unknown,
  kindName: string | undefined,
  kinds: ReadonlyMap<string, EntityKind>,
): Subject {
  const named = kindName === undefined || kindName === '' ? undefined : kinds.get(kindName)
  if (typeof given === 'string') {
    const isUrl = /^[a-z][a-z0-9+.-]*:/i.test(given) || given.startsWith('//')
    const nothing = { id: undefined, providerIds: [], params: {}, lacksPath: false }
    return {
      kind: named,
      sourceUrl: isUrl ? given : undefined,
      localPath: isUrl ? undefined : given,
      ...nothing,
    }
  }
  const entity: Record<string, unknown> = typeof given === 'object' && given !== null ? { ...given } : {}
  const kind = kindName ? named : (lookUp(kinds, entity.entity_type) ?? lookUp(kinds, entity.type))
  const first = (names: readonly string[]) =>
    names.map((name) => textOf(entity[name])).find((text) => text !== undefined)
  const pathFields = kind?.fields.path === undefined ? PATH_FIELDS : [kind.fields.path]
  const localPath = first(pathFields)
  return {
    kind,
    id: isId(entity.id) ? entity.id : undefined,
    providerIds: providerIdsOf(entity, kind),
    sourceUrl: first(kind?.fields.url === undefined ? URL_FIELDS : [kind.fields.url]),
    localPath,
    lacksPath: localPath === undefined && pathFields.some((name) => name in entity),
    params: Object.fromEntries(
      Object.entries(entity).filter((field): field is [string, EntityId] => isId(field[1])),
    ),
  }
}

const lookUp = (kinds: ReadonlyMap<string, EntityKind>, name: unknown): EntityKind | undefined =>
  typeof name === 'string' ? kinds.get(name) : undefined

/** Ids at providers, by priority: from `provider_ids`, or fields such as `spotify_id`. */
function providerIdsOf(
  entity: Readonly<Record<string, unknown>>,
  kind: EntityKind | undefined,
): readonly EntityId[] {
  const listed = entity.provider_ids ?? entity.providerIds
  const table: Record<string, unknown> = typeof listed === 'object' && listed !== null ? { ...listed } : {}
  return (kind?.providers ?? [])
    .map((provider) => table[provider] ?? entity[`${provider}_id`] ?? entity[`${provider}Id`])
    .filter(isId)
}
