/** How the toolkit reaches the app's own records. Every verb is optional and may throw: we serve what we have. */

/** An entity as an app has it: any object with an id. */
export interface EntityLike {
  readonly id: string | number | bigint
  readonly [field: string]: unknown
}

/** What is told of a stored picture. */
export interface SavedImage {
  readonly imageUrl: string
  readonly imagePath: string
  readonly width: number
  readonly height: number
  readonly digest: string
}

/** The app's records. */
export interface Repository {
  /** A page of the entities of a kind, and where the next page begins. */
  list?(kind: string, cursor?: string): Promise<{ entities: readonly EntityLike[]; next?: string }>
  /** Which of these ids exist. */
  exists?(kind: string, ids: readonly string[]): Promise<ReadonlySet<string>>
  find?(kind: string, id: string): Promise<EntityLike | undefined>
  /** Notes a stored picture. `false`, or a throw, means that the app refuses. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a repository that answers nothing has saved
  saveImage?(kind: string, id: string, image: SavedImage): Promise<void | boolean> | void | boolean
}

/** An answer that came too late. */
const late = (verb: string): Error => new Error(`the repository did not answer in time: ${verb}`)

/** The same repository, each of whose verbs answers, or throws, within so many ms: nobody waits for ever for records. */
export function bounded(repository: Repository | undefined, ms: number): Repository | undefined {
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
    ...(list && { list: (kind, cursor) => inTime('list', () => list.call(repository, kind, cursor)) }),
    ...(exists && { exists: (kind, ids) => inTime('exists', () => exists.call(repository, kind, ids)) }),
    ...(find && { find: (kind, id) => inTime('find', () => find.call(repository, kind, id)) }),
    ...(saveImage && {
      saveImage: (kind, id, image) =>
        inTime('saveImage', async () => saveImage.call(repository, kind, id, image)),
    }),
  }
}
