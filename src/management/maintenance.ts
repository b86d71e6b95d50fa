/** Verbs over everything that is stored: for code, and for jobs. */
import type { Events } from '../events.js'
import type { Context } from '../images/context.js'
import type { Images } from '../images/images.js'
import { type OptimizeOptions, type OptimizeResult, type OptimizeWatch, optimize } from '../jobs/cleanup.js'
import { type ImportOptions, type ImportReport, importFolder } from '../library/import.js'
import { pathOfKey } from '../model/entry.js'
import type { VerifyOptions, VerifyReport } from '../store/ports.js'

/** Makes the verbs. */
export function createMaintenance(
  context: Context,
  { resolver, idle }: Pick<Images, 'resolver' | 'idle'>,
  events: Pick<Events, 'emit'>,
) {
  const { store } = context
  return {
    /** Removes what was not used for long, orphans and damaged copies. */
    optimizeCache: (options?: OptimizeOptions, watch?: OptimizeWatch): Promise<OptimizeResult> =>
      optimize(context, options, watch),
    /** Forgets everything that can be fetched again. */
    clearCache: async (): Promise<void> => {
      await idle()
      await store.clear()
    },
    /** Imports pictures that are files already. @throws ArtworkError `invalid` (400) for a folder that is none */
    importFolder: (folder: string, options?: ImportOptions): Promise<ImportReport> =>
      importFolder(context, resolver, folder, options),
    /**
     * Checks every stored byte against its digest, slowly, beside readers and writers; goes on where an interrupted run
     * stopped. What is damaged is deleted and fetched again, what is missing in the index is written anew, what has no key
     * goes.
     */
    verify: async (options?: VerifyOptions): Promise<VerifyReport> => {
      const report = await store.verify(options)
      for (const key of report.names) {
        const path = pathOfKey(key)
        if (path !== undefined) events.emit('image-missing', { path })
      }
      return report
    },
  }
}
