/** cacache writes; what it wrote is read by its layout. So it is loaded with the first write: most starts write nothing. */
import { once } from '../../concurrency.js'

/** The package. */
export const loadCacache = once(async () => (await import('cacache')).default)
