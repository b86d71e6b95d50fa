/** cacache writes; what it wrote is read by its layout. So it is loaded with the first write: most starts write nothing. */
import { requirePackage } from '../../package-files.js'

/** The package. */
export const loadCacache = (): typeof import('cacache') => requirePackage('cacache')
