/** Where our templates are. */
import { packagePath } from './package-files.js'

/** Directory of the Nunjucks macros: give it to your loader beside your own views. */
export const viewsPath: string = packagePath('views')
