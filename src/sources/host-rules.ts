/** Host patterns: exact; `*.` one label; `**.` any depth; `*` alone any host. A pattern may end in a port. */

const LABEL = '[a-z0-9_-]+'
const PATTERN =
  /^(?:\*\*\.|\*\.)?(?:[a-z0-9_-]+\.)*[a-z0-9_-]+(?::\d{1,5})?$|^\[[0-9a-f:.]+\](?::\d{1,5})?$|^\*$/

const defaultPort = (url: URL): string =>
  url.port !== '' ? url.port : url.protocol === 'https:' ? '443' : '80'

/** Reads a pattern into a test. @throws TypeError with the rule and the value */
export function hostRule(pattern: string): (url: URL) => boolean {
  const text = pattern.toLowerCase()
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
