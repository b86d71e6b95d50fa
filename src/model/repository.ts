/** How the toolkit reaches the app's own records. Every verb is optional and may throw: we serve what we have. */
import { idOf } from './text.js'

/** An entity as an app has it: any object with an id, an instance of a class with getters too. */
export type EntityLike =
  | {
      /** Its id: text, or a number. */
      readonly id: string | number | bigint
      readonly [field: string]: unknown
    }
  | {
      /** Its id: text, or a number. */
      readonly id: string | number | bigint
    }

/** What is told of a stored picture. */
export interface SavedImage {
  /** Where it was fetched. */
  readonly imageUrl: string
  /** Its artwork path. */
  readonly imagePath: string
  /** Pixels. */
  readonly width: number
  /** Pixels. */
  readonly height: number
  /** SHA-256 of its bytes, hex. */
  readonly digest: string
}

/** A page of entities. */
export interface EntityPage {
  /** The entities of the page. */
  readonly entities?: Iterable<EntityLike> | undefined
  /** The same, as database clients call it. */
  readonly rows?: Iterable<EntityLike> | undefined
  /** What the next page is asked for with; undefined, null or '' after the last one. */
  readonly next?: string | number | bigint | null | undefined
}

/** The app's records. */
export interface Repository {
  /**
   * A page of the entities of a kind, and where the next page begins. Rows of a database (`{ rows }`), a plain array and
   * any iterable, asynchronous too, are a page without a next one.
   */
  list?(
    kind: string,
    cursor?: string,
  ):
    | Promise<EntityPage | Iterable<EntityLike> | AsyncIterable<EntityLike>>
    | AsyncIterable<EntityLike>
    | Iterable<EntityLike>
  /**
   * Which of these ids exist: any iterable of them, as text, numbers or whatever has a text form. They are compared as
   * text, without white space at the ends, and UUIDs without regard to case. An id that was not asked for is an error.
   */
  exists?(kind: string, ids: readonly string[]): Promise<Iterable<unknown>> | Iterable<unknown>
  /** The entity of an id, undefined where there is none. */
  find?(kind: string, id: string): Promise<EntityLike | undefined>
  /** Notes a stored picture. `false`, or a throw, means that the app refuses. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a repository that answers nothing has saved
  saveImage?(kind: string, id: string, image: SavedImage): Promise<void | boolean> | void | boolean
}

/** The app's records as the toolkit asks them: see {@link bounded}. */
export interface BoundedRepository extends Repository {
  exists?(kind: string, ids: readonly string[]): Promise<ReadonlySet<string>>
}

/** An answer that came too late. */
const late = (verb: string): Error => new Error(`the repository did not answer in time: ${verb}`)

/** An answer that is of another shape than a repository's. Its message names the verb and the shape. */
export class WrongShape extends Error {}

const shapeOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
const isIterable = (value: unknown): value is Iterable<unknown> => isObject(value) && Symbol.iterator in value
const isAsyncIterable = (value: unknown): value is AsyncIterable<unknown> =>
  isObject(value) && Symbol.asyncIterator in value

/** The text of an id as an app's database has it. */
const idText = (value: unknown): string | undefined => {
  const id = idOf(value)
  return id === undefined ? undefined : String(id)
}
const UUID = /^[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i
/** Ids that are the same to a database are the same here. */
const comparable = (text: string): string =>
  UUID.test(text.trim()) ? text.trim().toLowerCase() : text.trim()

/**
 * Which of the ids exist, by what the app answered.
 * @throws WrongShape for anything that is no list of these ids
 */
function existingOf(answer: unknown, asked: readonly string[]): ReadonlySet<string> {
  if (!isIterable(answer))
    throw new WrongShape(`repository.exists must answer the ids that exist, and answered ${shapeOf(answer)}`)
  const byText = new Map<string, string[]>()
  for (const id of asked) byText.set(comparable(id), [...(byText.get(comparable(id)) ?? []), id])
  const found = new Set<string>()
  for (const one of answer) {
    const text = idText(one)
    if (text === undefined)
      throw new WrongShape(`repository.exists must answer ids, and ${shapeOf(one)} was among them`)
    const same = byText.get(comparable(text))
    if (same === undefined)
      throw new WrongShape(
        `repository.exists answered ${JSON.stringify(text.slice(0, 80))}, an id that was not asked for`,
      )
    for (const id of same) found.add(id)
  }
  return found
}

interface Page {
  readonly entities: Iterable<unknown> | AsyncIterable<unknown>
  readonly next: string | undefined
}

/** A page, by what the app answered. @throws WrongShape */
function pageOf(answer: unknown): Page {
  if (isIterable(answer) || isAsyncIterable(answer)) return { entities: answer, next: undefined }
  const { entities, rows, next } = (isObject(answer) ? answer : {}) as EntityPage
  const listed: unknown = entities ?? rows
  if (!isIterable(listed) && !isAsyncIterable(listed))
    throw new WrongShape(
      `repository.list must answer { entities, next }, rows or a list, and answered ${shapeOf(answer)}`,
    )
  if (next === undefined || next === null || next === '') return { entities: listed, next: undefined }
  const cursor = idText(next)
  if (cursor === undefined)
    throw new WrongShape(`repository.list: next must be a text or a number, and was ${shapeOf(next)}`)
  return { entities: listed, next: cursor }
}

/**
 * The entities of a kind, some at a time: the one pager over an app's records.
 * @throws WrongShape, and whatever the app throws
 */
export async function* entitiesIn(
  repository: Repository | undefined,
  kind: string,
  atOnce = 200,
): AsyncGenerator<readonly unknown[]> {
  if (repository?.list === undefined) return
  const seen = new Set<string>()
  for (let cursor: string | undefined; ; ) {
    const { entities, next } = pageOf(await repository.list(kind, cursor))
    let some: unknown[] = []
    for await (const entity of entities) {
      some.push(entity)
      if (some.length >= atOnce) {
        yield some
        some = []
      }
    }
    if (some.length > 0) yield some
    // A cursor that comes again would go on for ever.
    if (next === undefined || seen.has(next)) return
    cursor = next
    seen.add(cursor)
  }
}

/**
 * The same repository, each of whose verbs answers, or throws, within so many ms: nobody waits for ever for records. What
 * `exists` answers is held against the ids that were asked for.
 */
export function bounded(repository: Repository | undefined, ms: number): BoundedRepository | undefined {
  if (repository === undefined) return undefined
  const inTime = async <T>(verb: string, work: () => Promise<T> | T): Promise<T> => {
    let timer: NodeJS.Timeout | undefined
    const over = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(late(verb)), ms)
    })
    return Promise.race([Promise.resolve().then(work), over]).finally(() => clearTimeout(timer))
  }
  const { list, exists, find, saveImage } = repository
  return {
    ...(list && {
      list: (kind, cursor) => inTime('list', async () => list.call(repository, kind, cursor)),
    }),
    ...(exists && {
      exists: (kind, ids) =>
        inTime('exists', async () => existingOf(await exists.call(repository, kind, ids), ids)),
    }),
    ...(find && { find: (kind, id) => inTime('find', () => find.call(repository, kind, id)) }),
    ...(saveImage && {
      saveImage: (kind, id, image) =>
        inTime('saveImage', async () => saveImage.call(repository, kind, id, image)),
    }),
  }
}
