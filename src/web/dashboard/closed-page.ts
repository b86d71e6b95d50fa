/** What who may not enter the dashboard reads: why, and which option of the app decides that. Nothing of the app is in it. */
import type { IncomingMessage } from 'node:http'
import { type HttpResponse, textResponse } from '../../http/response.js'
import { VARY_ACCEPT, varyBy } from '../../http/vary.js'
import type { ArtworkError } from '../../model/failure.js'

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
const STYLE =
  ':root{color-scheme:light dark}body{max-width:38rem;margin:12vh auto 0;padding:0 1.25rem;font:1rem/1.55 system-ui,sans-serif;overflow-wrap:anywhere}code{font-size:.92em}h1{font-size:1.5rem}'

/** Sentences; what is between backticks is code. */
function sentencesOf({ code, message }: ArtworkError): readonly string[] {
  if (message.startsWith('requests of other sites')) return [message]
  if (message.startsWith('the management API is closed'))
    return [
      'Nobody may enter: this app has not said who may.',
      'Whoever runs it decides that, with the option `manage.authorize`: createArtwork({ manage: { authorize } }) takes a function that answers `true` for who may come in. The service express-artwork serve takes ARTWORK_MANAGE_TOKEN in its place.',
    ]
  const who =
    code === 'unauthenticated' ? 'This app does not know yet who you are.' : 'This app did not let you in.'
  return [
    who,
    'Who may enter is the app’s own decision: its function `manage.authorize` looks at each request, and answered this one with no.',
    code === 'unauthenticated'
      ? 'Log in to the app first, then open this page again.'
      : 'Log in to the app as somebody who may manage its images, or ask whoever runs it.',
  ]
}

const html = (text: string): string =>
  text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`).replace(/`([^`]*)`/g, '<code>$1</code>')

/** The answer: a page for a browser, text for others. */
export function closedResponse(req: IncomingMessage, error: ArtworkError): HttpResponse {
  const sentences = sentencesOf(error)
  const isPage = /\btext\/html\b/.test(req.headers.accept ?? '') && req.method === 'GET'
  if (!isPage)
    return textResponse(
      error.status,
      `${sentences.join('\n').replaceAll('`', '')}\n`,
      '',
      varyBy(VARY_ACCEPT),
    )
  const body = sentences.map((one) => `<p>${html(one)}</p>`).join('\n')
  return textResponse(
    error.status,
    `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>Closed · express-artwork</title><link rel="icon" href="data:,"><style>${STYLE}</style></head>
<body><main><h1>This dashboard is closed to you</h1>
${body}
</main></body></html>
`,
    '',
    { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': POLICY, ...varyBy(VARY_ACCEPT) },
  )
}
