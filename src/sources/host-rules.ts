/** Host patterns: exact; `*.` one label; `**.` any depth; `*` alone any host. A pattern may end in a port. */

import { domainToASCII } from 'node:url'

const LABEL = '[a-z0-9_-]+'
const PATTERN =
  /^(?:\*\*\.|\*\.)?(?:[a-z0-9_-]+\.)*[a-z0-9_-]+(?::\d{1,5})?$|^\[[0-9a-f:.]+\](?::\d{1,5})?$|^\*$/

const defaultPort = (url: URL): string =>
  url.port !== '' ? url.port : url.protocol === 'https:' ? '443' : '80'

/** A pattern with names as they are asked for: an internationalized one in its A-labels (RFC 5890 §2.3.2.1). */
export function inAscii(pattern: string): string {
  const [, stars = '', host = '', port = ''] = /^((?:\*{1,2}\.)?)(.*?)((?::\d+)?)$/.exec(pattern) ?? []
  const bare = host.replace(/\.$/, '')
  return stars + (/[^\0-\x7f]/.test(bare) ? domainToASCII(bare) : bare) + port
}

/** Reads a pattern into a test. @throws TypeError with the rule and the value */
export function hostRule(pattern: string): (url: URL) => boolean {
  const text = inAscii(pattern.toLowerCase())
  if (!PATTERN.test(text))
    throw new TypeError(
      `hosts must be names such as "cdn.example.com", "*.example.com" or "**.example.com", got ${JSON.stringify(pattern)}`,
    )
  if (text === '*') return () => true
  const port = /:(\d+)$/.exec(text)?.[1]
  const host = port === undefined ? text : text.slice(0, -port.length - 1)
  const bare = host.replace(/^\*{1,2}\./, '').replace(/[.[\]]/g, '\\$&')
  const before = host.startsWith('**.') ? `(?:${LABEL}\\.)+` : host.startsWith('*.') ? `${LABEL}\\.` : ''
  const matcher = new RegExp(`^${before}${bare}$`)
  return (url) =>
    matcher.test(url.hostname.replace(/\.$/, '')) && (port === undefined || port === defaultPort(url))
}
