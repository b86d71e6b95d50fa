/** A picture to the wire, by fields that were made before: as it is, or as what the request makes of it. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { respondWithHeaders } from '../../http/conditional-and-range.js'
import type { Representation, ResponseRules } from '../../http/image-fields.js'
import { enforceSendTimeout, isPlain, requestFields, send, writeOk } from '../shared/send.js'

/** A picture that is ready to be sent. */
export interface ReadyPicture {
  readonly picture: Representation
  readonly rules: Omit<ResponseRules, 'now'>
  readonly fields: Record<string, string>
  /** The fields of a public 200 as `writeHead` takes them, names and values in turn; none for what is for one client. */
  readonly flat: readonly string[]
}

/** See the top of the file. */
export function sendPicture(
  req: IncomingMessage,
  res: ServerResponse,
  { picture, rules, fields, flat }: ReadyPicture,
  now: number,
  settings: { readonly sendTimeout: number },
): void {
  if (req.method === 'GET' && isPlain(req) && flat.length > 0) {
    writeOk(res, fields, flat)
    res.end(picture.bytes)
    enforceSendTimeout(res, picture.bytes.length, settings.sendTimeout)
  } else {
    const asked = requestFields(req)
    send(req, res, respondWithHeaders(picture, asked, { ...rules, now }, fields), settings)
  }
}
