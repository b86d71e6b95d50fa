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
