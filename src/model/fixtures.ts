/** What stands for pictures of the network where an app is tested without one. */

/** What stands for a URL: a file, by its path from the working directory; bytes; or the status of an upstream that fails. */
export type Fixture = string | Uint8Array | number

/** What stands for which URLs: exact ones, or beginnings that end in `*`. What is not listed is a picture of one colour. */
export type Fixtures =
  | Readonly<Record<string, Fixture>>
  | ((url: string) => Fixture | undefined | Promise<Fixture | undefined>)

/** Sides of a picture of which nothing else is known, pixels. */
export const USUAL_SIZE = { width: 1200, height: 800 } as const
