/** Where our templates are. */
import { fileURLToPath } from 'node:url'

/** Where this file is. @throws Error in a bundle that does not know */
function ownUrl(url: string | undefined): string {
  if (url !== undefined) return url
  throw new Error(
    'express-artwork cannot be part of a CommonJS bundle: leave it out (esbuild: --external:express-artwork)',
  )
}

/** Directory of the Nunjucks macros: give it to your loader beside your own views. */
export const viewsPath: string = fileURLToPath(new URL('../views', ownUrl(import.meta.url)))
