/** The page of errors, from the table of the code. */
import { ArtworkError, ERROR_CODES, recordFailure } from '../../src/model/failure.js'
import { adviceFor } from '../../src/model/failure-advice.js'
import { page, tableOf } from './markdown.js'

const spans = (ms: number): string =>
  ms >= 3_600_000 ? `${ms / 3_600_000} h` : ms >= 60_000 ? `${ms / 60_000} min` : `${ms / 1000} s`

/** How long a failure is remembered. */
function remembered(error: ArtworkError): string {
  const first = recordFailure(error, undefined, 0)
  if (first === undefined) return 'not'
  const again = recordFailure(error, { ...first, count: 20 }, 0)
  return again === undefined || again.until === first.until
    ? spans(first.until)
    : `${spans(first.until)}, doubling to ${spans(again.until)}`
}

/** Makes the page. */
export const errorsPage = (): string =>
  page(
    'Error codes',
    'Every failure of the toolkit: its code (`error.code`), the status that HTTP answers with, the reason that results and the management API print, and how long it is remembered so that asking again costs nothing. [Errors](../errors.md) says what to do about them.',
    tableOf(
      ['code', 'status', 'reason', 'tried again in the same call', 'remembered', 'what to do'],
      ERROR_CODES.map((code) => {
        const error = new ArtworkError(code, '')
        const advice = adviceFor({ code, message: '' })
        return [
          `\`${code}\``,
          String(error.status),
          `\`${error.reason}\``,
          error.retried ? 'yes' : 'no',
          remembered(error),
          advice?.mend ?? '',
        ]
      }),
    ),
  )
