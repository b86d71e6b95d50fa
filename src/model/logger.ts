/** What the toolkit logs to: the part of pino's shape that it uses. */

/** A pino-shaped logger: fields first, then a sentence. */
export interface Logger {
  /** What helps to understand a single case. */
  debug(fields: object, message: string): void
  /** What is worth knowing. */
  info(fields: object, message: string): void
  /** What should be looked at. */
  warn(fields: object, message: string): void
  /** What failed. */
  error(fields: object, message: string): void
}

const nothing = (): void => {}

/** Prints warnings and errors to the console, one line each, and keeps quiet about the rest. */
export const consoleLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: (fields, message) => console.warn(message, brief(fields)),
  error: (fields, message) => console.error(message, brief(fields)),
}

function brief(fields: object): string {
  const error = 'err' in fields && fields.err instanceof Error ? fields.err.message : ''
  const image = 'image' in fields ? String(fields.image) : ''
  return [image, error].filter(Boolean).join(': ')
}
