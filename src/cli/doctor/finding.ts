/** What the checks of `doctor` find, and how each is bounded. */

/** How bad a finding is. */
export type Level = 'ok' | 'info' | 'warning' | 'error'

/** What a check says: what there is, and what mends it where that is wrong. */
export interface Finding {
  readonly check: string
  readonly level: Level
  readonly message: string
  /** What to do: an option or a command. */
  readonly remedy?: string
}

/** Makes the findings of a check. */
export const findings = (check: string) => ({
  ok: (message: string): Finding => ({ check, level: 'ok', message }),
  info: (message: string, remedy?: string): Finding => finding(check, 'info', message, remedy),
  warning: (message: string, remedy: string): Finding => finding(check, 'warning', message, remedy),
  error: (message: string, remedy: string): Finding => finding(check, 'error', message, remedy),
})
const finding = (check: string, level: Level, message: string, remedy: string | undefined): Finding => ({
  check,
  level,
  message,
  ...(remedy !== undefined && { remedy }),
})

/** Names in one text that are written out. */
const LISTED = 3
/** Some of the names, in one text. */
export const listed = (names: readonly string[]): string =>
  names.slice(0, LISTED).join(', ') + (names.length > LISTED ? ' …' : '')

/** Whether something is to be done. */
export const isProblem = ({ level }: Finding): boolean => level === 'warning' || level === 'error'

/** 0: nothing but ok and info; 1: a warning; 2: an error. */
export const exitCodeOf = (found: readonly Finding[]): number =>
  found.some(({ level }) => level === 'error') ? 2 : Number(found.some(({ level }) => level === 'warning'))

/** The text of anything thrown. */
export const reasonOf = (thrown: unknown): string =>
  thrown instanceof Error
    ? thrown.message || ('code' in thrown ? String(thrown.code) : thrown.name)
    : String(thrown)

/** Waits for work, but no longer. @throws Error where it takes longer, and what the work throws */
export function within<T>(ms: number, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`it took longer than ${Math.round(ms / 1000)} s`)), ms)
    // What throws at once, rejects too.
    Promise.resolve()
      .then(work)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer))
  })
}

/** Runs a check: whatever happens in it is a finding, and it takes no longer than it may. */
export async function checked(
  check: string,
  ms: number,
  work: () => Promise<readonly Finding[]> | readonly Finding[],
): Promise<readonly Finding[]> {
  try {
    return await within(ms, async () => work())
  } catch (error) {
    return [
      findings(check).warning(
        `this could not be checked: ${reasonOf(error)}`,
        'run the command again; if it stays so, report it with this line',
      ),
    ]
  }
}
