/** What zod finds wrong, in the words of the JSON API. */
import type { z } from 'zod'
import type { Problem } from './schemas.js'

/** What is wrong with a value, in the words of the JSON API. */
export function problemsOf(error: z.ZodError, value: unknown): readonly Problem[] {
  return error.issues.map((issue) => {
    const found = issue.path.reduce<unknown>(
      (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
      value,
    )
    const loc = ['body', ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))]
    const isMissing = issue.code === 'invalid_type' && found === undefined && issue.path.length > 0
    return isMissing
      ? { loc, msg: 'Field required', type: 'missing' }
      : { loc, msg: issue.message, type: issue.code }
  })
}
