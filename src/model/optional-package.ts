/** Packages that only some features need: they are loaded when such a feature is used, and an app installs them itself. */
import { codeOf } from './failure.js'

/** Whether an import failed because the package is not installed. */
export const isMissingPackage = (thrown: unknown): boolean =>
  ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'].includes(codeOf(thrown))

/** @throws Error with what mends it where the package is not installed; else what was thrown */
export function refuseMissing(thrown: unknown, name: string, usedBy: string): never {
  if (!isMissingPackage(thrown)) throw thrown
  throw new Error(`${usedBy} needs the package ${name}, which is not installed: npm install ${name}`, {
    cause: thrown,
  })
}
