/** A page to read the JSON API on, and to try it: made from the OpenAPI document, readable without script. */

type Json = Readonly<Record<string, unknown>>

const html = (text: unknown): string =>
  String(text ?? '').replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const entriesOf = (value: unknown): readonly (readonly [string, Json])[] =>
  isJson(value) ? Object.entries(value).filter((entry): entry is [string, Json] => isJson(entry[1])) : []
const at = (value: unknown, ...keys: readonly string[]): unknown =>
  keys.reduce<unknown>((inner, key) => (isJson(inner) ? inner[key] : undefined), value)

const VERBS = ['get', 'post', 'put', 'delete']

const STYLE = `
:root { color-scheme: light dark; --line: light-dark(#d5d7dd, #3b3f4a); --soft: light-dark(#f5f6f8, #1d2027);
  --text: light-dark(#1a1c21, #e9eaee); --dim: light-dark(#555b68, #a8afbd); --accent: light-dark(#0b57a4, #8cc0ff) }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; font: 1rem/1.5 system-ui, sans-serif;
  color: var(--text); background: light-dark(#fff, #14161b) }
h1 { font-size: 1.6rem; margin: 0 } p { margin: .4rem 0 } .dim { color: var(--dim) }
code, pre, textarea, input { font: .9rem/1.45 ui-monospace, monospace }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .6rem 0; background: var(--soft) }
summary { cursor: pointer; padding: .6rem .8rem; overflow-wrap: anywhere }
summary b { display: inline-block; min-width: 4.2rem; color: var(--accent); text-transform: uppercase }
.inside { padding: 0 .8rem .8rem }
label { display: block; margin: .6rem 0; font-size: .9rem }
input, textarea { display: block; width: 100%; padding: .45rem .55rem; border: 1px solid var(--line); border-radius: .35rem;
  color: inherit; background: light-dark(#fff, #14161b) }
textarea { min-height: 7rem }
button { padding: .5rem 1rem; border: 0; border-radius: .35rem; background: var(--accent); color: light-dark(#fff, #10131a); font: inherit }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
pre { overflow: auto; padding: .7rem; border: 1px solid var(--line); border-radius: .35rem; background: light-dark(#fff, #14161b) }
table { border-collapse: collapse; width: 100% } td { padding: .2rem .6rem .2rem 0; vertical-align: top }
output img { max-width: 100%; border: 1px solid var(--line) }
`

/** The page; its script is beside it, as `docs.js`. */
export function docsPage(document: Json): string {
  const operations = entriesOf(document.paths).flatMap(([path, verbs]) =>
    entriesOf(verbs)
      .filter(([verb]) => VERBS.includes(verb))
      .map(([verb, operation]) => section(path, verb, operation)),
  )
  const intro = html(at(document, 'info', 'description'))
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>JSON API · express-artwork</title><style>${STYLE}</style></head><body>
<h1>JSON API</h1><p class="dim">${intro}</p>
<p>The same for machines: <a href="openapi.json">openapi.json</a> (OpenAPI ${html(document.openapi)}).</p>
<label>Bearer token, sent with what you try here and kept nowhere
<input id="token" type="password" autocomplete="off"></label>
<main>${operations.join('\n') || '<p>There are no operations.</p>'}</main>
<script src="docs.js" defer></script></body></html>
`
}

function section(path: string, verb: string, operation: Json): string {
  const parameters = Array.isArray(operation.parameters) ? operation.parameters.filter(isJson) : []
  const fields = parameters.map(
    (one) =>
      `<label>${html(one.name)} <span class="dim">${html(one.description)}</span>
<input name="${html(one.name)}" data-in="${html(one.in)}"${one.required === true ? ' required' : ''}></label>`,
  )
  const content = at(operation, 'requestBody', 'content')
  const json = at(content, 'application/json', 'schema')
  const answers = entriesOf(operation.responses).map(
    ([status, one]) => `<tr><td><code>${html(status)}</code></td><td>${html(one.description)}</td></tr>`,
  )
  const bodies =
    json === undefined
      ? ''
      : `<label>Body, JSON <textarea name="body">${html(JSON.stringify(sampleOf(json), null, 2))}</textarea></label>
<details><summary>Schema of the body</summary><pre class="inside">${html(JSON.stringify(json, null, 2))}</pre></details>`
  const file =
    at(content, 'image/*') === undefined
      ? ''
      : '<label>or a file <input name="file" type="file" accept="image/*"></label>'
  return `<details><summary><b>${html(verb)}</b> <code>${html(path)}</code> <span class="dim">${html(operation.summary)}</span></summary>
<div class="inside"><p>${html(operation.description)}</p>
<form data-verb="${html(verb.toUpperCase())}" data-path="${html(path)}">${fields.join('')}${bodies}${file}
<p><button>Try it</button></p><output aria-live="polite"></output></form>
<table><caption class="dim">Answers</caption>${answers.join('')}</table></div></details>`
}

/** A body to begin with. */
function sampleOf(schema: unknown): Json {
  return Object.fromEntries(
    entriesOf(at(schema, 'properties')).map(([name, property]) => [
      name,
      property.type === 'array' ? [] : property.type === 'string' ? '' : null,
    ]),
  )
}

/** Sends a form as the request it stands for, and shows what comes. */
export const docsScript = `
for (const form of document.querySelectorAll('form')) form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const output = form.querySelector('output')
  let path = form.dataset.path
  const query = new URLSearchParams()
  for (const input of form.querySelectorAll('input[data-in]')) {
    if (input.dataset.in === 'path') path = path.replace('{' + input.name + '}', encodeURIComponent(input.value))
    else if (input.value !== '') query.set(input.name, input.value)
  }
  const token = document.getElementById('token').value
  const headers = token === '' ? {} : { Authorization: 'Bearer ' + token }
  const file = form.elements.file?.files?.[0]
  let body
  if (file) { body = file; headers['Content-Type'] = file.type || 'application/octet-stream' }
  else if (form.elements.body) { body = form.elements.body.value; headers['Content-Type'] = 'application/json' }
  output.textContent = '…'
  try {
    const answer = await fetch(path + (query.size > 0 ? '?' + query : ''), { method: form.dataset.verb, headers, body })
    const type = answer.headers.get('content-type') ?? ''
    output.textContent = ''
    const status = document.createElement('p')
    status.textContent = answer.status + ' ' + type
    output.append(status)
    if (type.startsWith('image/')) {
      const image = document.createElement('img')
      image.alt = 'the answer'
      image.src = URL.createObjectURL(await answer.blob())
      output.append(image)
    } else {
      const text = document.createElement('pre')
      const got = await answer.text()
      try { text.textContent = JSON.stringify(JSON.parse(got), null, 2) } catch { text.textContent = got }
      output.append(text)
    }
  } catch (error) { output.textContent = String(error) }
})
`
