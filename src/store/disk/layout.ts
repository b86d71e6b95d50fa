/** Where the store's files lie in its directory. */
import { join } from 'node:path'

/** Moves when the layout on disk changes shape. */
const LAYOUT = 'v2'

/** The paths of a directory. */
export const layoutOf = (directory: string) => ({
  contents: join(directory, `store-${LAYOUT}`),
  processes: join(directory, `processes-${LAYOUT}`),
  catalogue: join(directory, `catalogue-${LAYOUT}.sqlite`),
  /** Space that is set aside for a full disk. */
  reserve: join(directory, 'ballast'),
})
