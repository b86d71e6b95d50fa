/** What the dashboard's buttons do. Each answers the page that shows what came of it. */
import type { PurgeTarget } from '../../images/purge.js'
import { type HttpJobKind, httpJob, isHttpJobKind } from '../../jobs/kinds.js'
import type { Management } from '../../management/management.js'
import { ArtworkError, asArtworkError } from '../../model/failure.js'
import { isFocalPoint } from '../../model/focal-point.js'
import { isWebUrl } from '../../model/web-url.js'
import type { Settings } from '../../options/settings.js'

/** What a form sent. */
type Form = Pick<URLSearchParams, 'get'>

const textIn = (form: Form, name: string): string => (form.get(name) ?? '').trim()
const listIn = (form: Form, name: string): readonly string[] =>
  textIn(form, name)
    .split(/[\s,]+/)
    .filter((one) => one !== '')

const texts = (form: Form, name: string): object => {
  const found = listIn(form, name)
  return found.length === 0 ? {} : { [name]: found }
}
const flag = (form: Form, name: string): object => (form.get(name) === 'true' ? { [name]: true } : {})
/** Numbers are checked by the schema of the job's options. */
const number = (form: Form, name: string): object => {
  const text = textIn(form, name)
  return text === '' ? {} : { [name]: Number(text) }
}
/** The options of a job in its form; what is left out has its default. */
const JOB_FORMS: Readonly<Record<HttpJobKind, (form: Form) => object>> = {
  sync: (form) => ({ ...texts(form, 'kinds'), ...flag(form, 'force') }),
  refresh: () => ({}),
  validate: (form) => texts(form, 'kinds'),
  warm: (form) => ({ ...texts(form, 'addresses'), ...texts(form, 'variants') }),
  cleanup: (form) => ({ ...flag(form, 'dryRun'), ...number(form, 'maxAgeDays') }),
  verify: () => ({}),
  export: (form) => flag(form, 'overwrite'),
}

/** What somebody typed: a URL, an address, or a tag. @throws ArtworkError `invalid` (400) for what can be none */
function targetOf(text: string): PurgeTarget {
  if (isWebUrl(text)) return { url: text }
  if (text.includes('/')) return { address: text }
  if (/^(?:kind|host|entity|image)-./.test(text)) return { tag: text }
  throw new ArtworkError(
    'invalid',
    'give a URL, an address such as poster/w342/abc.jpg, or a tag such as kind-poster',
  )
}

/**
 * Does what a button says.
 * @returns the path of the page to go to, below the dashboard
 * @throws ArtworkError `invalid` (400) for what cannot be, `unknown_image` (404) for no such action
 */
export async function startAction(
  management: Management,
  settings: Pick<Settings, 'kinds'>,
  action: string,
  form: Form,
): Promise<string> {
  // A form that came without its fields takes nothing away.
  if (action === 'cleanup' && form.get('dryRun') === null)
    throw new ArtworkError('invalid', 'say whether it is a dry run')
  if (isHttpJobKind(action)) {
    const parsed = httpJob(action).body.safeParse(JOB_FORMS[action](form))
    if (!parsed.success)
      throw new ArtworkError(
        'invalid',
        parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '),
      )
    const unknown = listIn(form, 'kinds').filter((kind) => !settings.kinds.has(kind))
    if (unknown.length > 0) throw new ArtworkError('invalid', `no kinds of entity: ${unknown.join(', ')}`)
    return `/jobs/${(await management.start(action, parsed.data)).id}`
  }
  if (action === 'pause' || action === 'resume') {
    await management.setPaused(action === 'pause')
    return '/'
  }
  if (action === 'purge') {
    const target = textIn(form, 'target')
    if (target === '') throw new ArtworkError('invalid', 'say what to purge')
    const { removed } = await management.purge(targetOf(target))
    return `/images?notice=purged&n=${removed}`
  }
  if (action === 'download') {
    const job = await management.download(management.kindNamed(textIn(form, 'kind')), textIn(form, 'id'))
    return `/jobs/${job.id}`
  }
  if (action === 'retry-entity') {
    const [kind = '', id = ''] = textIn(form, 'key').split(/:(.*)/s)
    return `/jobs/${(await management.download(management.kindNamed(kind), id)).id}`
  }
  if (action === 'focus') {
    const name = textIn(form, 'name')
    const [x, y] = [Number(form.get('x')), Number(form.get('y'))]
    const point = form.get('clear') === 'true' ? undefined : { x, y }
    if (point !== undefined && (form.get('x') === null || !isFocalPoint(point)))
      throw new ArtworkError('invalid', 'give whole per cent from 0 to 100')
    await management.focus(name, point)
    return `/image?name=${encodeURIComponent(name)}&notice=${point === undefined ? 'unfocused' : 'focused'}`
  }
  if (action === 'refresh-one') {
    const name = textIn(form, 'name')
    try {
      await management.revalidateNow(name)
    } catch (error) {
      const { code, reason } = asArtworkError(error)
      // What is no picture of ours is reported as that; a source that fails is what was asked about.
      if (code === 'unknown_image' || code === 'invalid') throw error
      return `/failures?notice=failed&why=${reason}`
    }
    return `/image?name=${encodeURIComponent(name)}&notice=asked`
  }
  return management.missing('action')
}
