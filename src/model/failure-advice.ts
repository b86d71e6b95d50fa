/** Which rule a failure comes from, and which option or step mends it: for `explain`, the list of failures, and the docs. */
import type { ErrorCode } from './failure.js'

/** What stands behind a failure. */
export interface FailureAdvice {
  /** The rule of ours that refused: one word each, so that "refused" has one meaning each. Undefined where it was no rule. */
  readonly rule?: string
  /** What to do. */
  readonly mend: string
}

const SOURCE = 'open the source URL in a browser: the record may have an old one'
const LATER = 'nothing: it is tried again by itself'
const NO_URL = 'the record has no image URL: nothing is to be fetched'
const LOGIN = 'the source asks for a login or a token: see remote({ headers }), or the pool of a proxy'
const DAMAGED = 'look at the file at its source: it is damaged, or cut off'
const UNREACHED = 'see whether this machine reaches the host: express-artwork doctor'
const DISK = 'see the space and the rights of the directory: express-artwork doctor'

/** By message, where one code has several meanings. */
const BY_MESSAGE: Readonly<Record<string, FailureAdvice>> = {
  'this host is not allowed': {
    rule: 'host',
    mend: 'add the host to remote({ hosts }); a private one to fetch.allowPrivate as well',
  },
  'this port is not allowed': {
    rule: 'port',
    mend: 'add the port to fetch.ports, or host:port to fetch.allowPrivate',
  },
  'this address is not allowed': {
    rule: 'address',
    mend: 'use a host name; an address of your own network goes into fetch.allowPrivate as host:port, public ones need fetch.allowIpLiterals',
  },
  'this is our own address': {
    rule: 'own-origin',
    mend: 'give the record the URL of the source: this one leads back to this app (urls.base, fetch.publicOrigins)',
  },
  'the URL must not hold credentials': {
    rule: 'credentials',
    mend: 'take user and password out of the URL, and give them in remote({ headers })',
  },
  'the URL holds characters that are not allowed': {
    rule: 'url',
    mend: 'encode spaces, backslashes and control characters in the URL of the record',
  },
  'only http and https URLs are fetched': { rule: 'scheme', mend: 'give the record an http or https URL' },
  'a redirect from https to http is not followed': {
    rule: 'redirect',
    mend: 'ask the source for the https URL that it redirects to',
  },
  'the signature does not hold': {
    rule: 'signature',
    mend: 'print the URL by the filters or sign it with signAddress and a key of signing.keys',
  },
  'the image has too many bytes': { rule: 'bytes', mend: 'raise fetch.maxBytes' },
  'the image has too many pixels': { rule: 'pixels', mend: 'raise transform.maxPixels' },
  'the image has too many pixels for this format': {
    rule: 'pixels',
    mend: 'raise transform.maxAvifPixels, or offer a smaller width',
  },
  'the image has too many frames': { rule: 'frames', mend: 'raise transform.maxFrames' },
  'the image needs too much memory': { rule: 'memory', mend: 'raise transform.maxMemory' },
  'this image format is not allowed': { rule: 'format', mend: 'add the format to transform.formats' },
  'this is not an image of a known format': { mend: SOURCE },
}

/** By code, for all others. */
const BY_CODE: Partial<Readonly<Record<ErrorCode, FailureAdvice>>> = {
  no_url: { mend: NO_URL },
  invalid: {
    rule: 'address',
    mend: 'print addresses by the filters: this one is not in the shape kind/variant/id, or its size is not offered',
  },
  refused: {
    rule: 'login',
    mend: 'a source URL: add its host to remote({ hosts }); a request: see manage.authorize and uploads({ authorize })',
  },
  unauthenticated: { rule: 'login', mend: 'send what authorize looks for: a session, a token' },
  undialable: {
    rule: 'address',
    mend: 'list host:port in fetch.allowPrivate, if it is a server of your own',
  },
  not_found: { mend: SOURCE },
  gone: { mend: SOURCE },
  no_image: { mend: SOURCE },
  too_large: {
    mend: 'raise the bound that the message is about: fetch.maxBytes, transform.maxPixels, transform.maxMemory',
  },
  unsupported: {
    mend: 'a format that is decoded goes into transform.formats; what is not decoded (SVG, TIFF, HEIC) is converted at its source, or an SVG printed as it is, by the variant original',
  },
  invalid_image: { mend: DAMAGED },
  bad_form: { mend: 'choose a picture in the form, and not more of them than it takes' },
  upstream_denied: {
    mend: LOGIN,
  },
  upstream_failed: { mend: LATER },
  throttled: { mend: 'it is tried again by itself; lower fetch.perHost if it happens often' },
  connection: { mend: UNREACHED },
  timeout: {
    mend: 'raise fetch.totalTimeout or fetch.firstByteTimeout, or see whether this machine reaches the host: express-artwork doctor',
  },
  decode_timeout: {
    mend: 'raise transform.timeout, or lower transform.maxPixels so that such images are refused at once',
  },
  processing: { mend: 'see the log for what ended the decoder' },
  disk_write: { mend: DISK },
  unavailable: { mend: LATER },
}

/** What to do about a failure; undefined where there is nothing to say. */
export const adviceFor = ({
  code,
  message,
}: {
  readonly code: ErrorCode
  readonly message: string
}): FailureAdvice | undefined => {
  // A host that is listed and has a private address is refused when it is dialled, with the same words.
  const isOfHost = message === HOST_REFUSED
  return (isOfHost && code !== 'refused' ? undefined : BY_MESSAGE[message]) ?? BY_CODE[code]
}
const HOST_REFUSED = 'this host is not allowed'

/** The same by the reason alone, as a back-off has it. */
export const adviceForReason = (reason: string): string | undefined => BY_REASON[reason]
const BY_REASON: Readonly<Record<string, string>> = {
  no_url: NO_URL,
  invalid_url: 'encode or correct the URL of the record',
  refused: 'ask explain for the source URL: it names the rule that refused, and its option',
  http_404: SOURCE,
  http_403: LOGIN,
  http_5xx: LATER,
  timeout: LATER,
  connection: UNREACHED,
  too_large: 'raise fetch.maxBytes or transform.maxPixels',
  unsupported: SOURCE,
  invalid_image: DAMAGED,
  processing: 'see the log for what ended the decoder',
  disk_write: DISK,
  unavailable: LATER,
}
