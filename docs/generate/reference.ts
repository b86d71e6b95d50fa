/** Writes the pages of the reference that follow from the code: `npm run docs:reference`. A test compares them with it. */
import { writeFileSync } from 'node:fs'
import { commandLinePage } from './command-line.js'
import { errorsPage } from './errors.js'
import { optionsPage } from './options.js'
import { routesPage } from './routes.js'
import { typesPage } from './types.js'

/** The pages, by their file below `docs/reference/`; that of the command line, which starts processes, is apart. */
export async function referencePages(): Promise<Readonly<Record<string, string>>> {
  return {
    'errors.md': errorsPage(),
    'options.md': optionsPage(),
    'routes.md': await routesPage(),
    'types.md': await typesPage(),
  }
}

if (process.argv[1] === new URL(import.meta.url).pathname)
  for (const [file, text] of Object.entries({
    ...(await referencePages()),
    'command-line.md': await commandLinePage(),
  }))
    writeFileSync(new URL(`../reference/${file}`, import.meta.url), text)
