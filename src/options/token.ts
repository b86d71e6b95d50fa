import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/**
 * Whether a request has a token as its bearer (RFC 6750), or, where that is allowed, as its password (RFC 7617), which
 * browsers can prompt for. The comparison takes the same time for all.
 */
export function holdsToken(token: string, mayBePassword = false): (req: IncomingMessage) => boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  const wanted = digest(token)
  return (req) => {
    const { authorization = '' } = req.headers
    const [, bearer] = /^Bearer +([^\s]+)\s*$/i.exec(authorization) ?? []
    const [, basic] = /^Basic +([^\s]+)\s*$/i.exec(authorization) ?? []
    const password =
      basic === undefined || !mayBePassword
        ? undefined
        : /^[^:]*:(.*)$/s.exec(Buffer.from(basic, 'base64').toString('utf8'))?.[1]
    const given = bearer ?? password
    return given !== undefined && timingSafeEqual(digest(given), wanted)
  }
}
