/** Whose pictures the files of an import are: by the export's manifest, else by the app's records, else by the path itself. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { artworkPaths } from '../model/artwork-path.js'
import type { EntityKind } from '../model/entity.js'
import { entitiesIn } from '../model/repository.js'
import { readSubject } from '../model/subject.js'
import { artworkPathOf } from '../model/urls.js'
import type { Settings } from '../options/settings.js'
import { type Owner, readManifest } from './manifest.js'

/** Entities of the app's records that are read at most. */
const MAX_ENTITIES = 1_000_000

type OwnerSettings = Pick<Settings, 'kinds' | 'repository' | 'logger' | 'urls'>

/** The owners of the wanted paths below a folder, as far as they are known. */
export async function findOwners(
  settings: OwnerSettings,
  root: string,
  wanted: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, Owner>> {
  const { kinds, logger } = settings
  const owners = new Map<string, Owner>()
  for (const path of wanted) {
    const owner = ownerByPath(path, kinds)
    if (owner !== undefined) owners.set(path, owner)
  }
  const listed = new Set<string>()
  try {
    for await (const { path, ...owner } of readManifest(root))
      if (wanted.has(path) && kinds.has(owner.kind)) {
        owners.set(path, owner)
        listed.add(path)
      }
  } catch (error) {
    logger.warn({ err: error }, 'artwork import: the list of the export could not be read')
  }
  try {
    for await (const [path, owner] of ownersInRepository(settings, signal))
      if (wanted.has(path) && !listed.has(path)) owners.set(path, owner)
  } catch (error) {
    logger.warn({ err: error }, 'artwork import: the repository could not be asked whose pictures there are')
  }
  return owners
}

/** Every path that an entity of the app's records may have, with the entity. */
async function* ownersInRepository(
  { kinds, repository, urls }: OwnerSettings,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly [path: string, owner: Owner]> {
  if (repository?.list === undefined) return
  let seen = 0
  for (const kind of kinds.values())
    for await (const page of entitiesIn(repository, kind.kind)) {
      for (const entity of page) {
        seen += 1
        const { id, sourceUrl, params, localPath } = readSubject(entity, kind.kind, kinds)
        if (id === undefined) continue
        const owner = { kind: kind.kind, id: String(id), sourceUrl }
        for (const path of pathsOf(kind, id, params)) yield [path, owner]
        // A record that names the file owns it, whatever its path.
        const named = localPath === undefined ? undefined : artworkPathOf(urls, localPath)
        if (named !== undefined) yield [named, owner]
      }
      if (signal?.aborted || seen > MAX_ENTITIES) return
      await nextTurn()
    }
}

const pathsOf = (...given: Parameters<typeof artworkPaths>): readonly string[] => {
  try {
    return artworkPaths(...given)
  } catch {
    return []
  }
}

/** Whose picture a path says it is: where a kind's template has the id in it. */
function ownerByPath(path: string, kinds: ReadonlyMap<string, EntityKind>): Owner | undefined {
  for (const kind of kinds.values()) {
    const idName = ['id', 'slug'].find((name) => kind.path.includes(`{${name}}`))
    if (idName === undefined) continue
    const pattern = kind.path
      .replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&')
      .replaceAll('{plural}', kind.plural)
      .replace(`{${idName}}`, '(?<id>[A-Za-z0-9_-]+)')
      .replaceAll(/\{[a-z_]+\}/g, '[A-Za-z0-9_-]+')
    const id = new RegExp(`^${pattern}$`).exec(path)?.groups?.id
    // What the template makes of the id must be this very path, so that a slug is not taken for one.
    if (id !== undefined && (!kind.path.includes('{shard}') || pathsOf(kind, id).includes(path)))
      return { kind: kind.kind, id }
  }
  return undefined
}
