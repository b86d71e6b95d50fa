/** Who asks, so that clients take turns. */
import type { IncomingMessage } from 'node:http'
import type { Settings } from '../../options/settings.js'

/** The client of a request, by the app or by its address; what the app's own function throws is nobody. */
export function clientOf(
  settings: Pick<Settings, 'clientOf' | 'logger'>,
  req: IncomingMessage,
): string | undefined {
  try {
    return settings.clientOf?.(req) ?? req.socket.remoteAddress
  } catch (error) {
    settings.logger.error({ err: error }, 'artwork: clientOf failed')
    return undefined
  }
}
