/** What each page of the dashboard shows: from what was asked for and the management's answers, as data for its template. */
import { type Management, searchQuery } from '../../management/management.js'
import type { Settings } from '../../options/settings.js'
import { ROLES, SORTS } from '../../store/ports.js'
import type { Query } from '../shared/respond.js'
import { drawCharts } from './charts.js'
import { formatterAt } from './format.js'

/** Pages whose template an app may put its own in the place of. */
export const PAGES = ['layout', 'overview', 'images', 'image', 'jobs', 'job', 'failures', 'problem'] as const

/** What pages are made from. */
export interface PageParts {
  readonly management: Management
  readonly settings: Pick<Settings, 'kinds' | 'sources' | 'disk' | 'export' | 'repository' | 'now'>
  /** What does not work, in words. */
  reasons(): readonly string[]
}
/** What was asked for. */
export interface PageRequest {
  readonly query: Query
  /** Path that the dashboard is mounted at. */
  readonly base: string
  /** A parameter of the path. */
  param(name: string): string
}
/** Makes what a page shows. @throws ArtworkError where there is no such thing */
export type Page = (parts: PageParts, request: PageRequest) => object | Promise<object>

const JOBS_PAGE = 50
const CHILDREN = 100
const SPANS = [
  { id: 'hour', label: 'last hour' },
  { id: 'day', label: 'last day' },
]
const HOST_SORTS = [
  { id: 'busiest', label: 'busiest' },
  { id: 'slowest', label: 'slowest' },
  { id: 'failing', label: 'most failures' },
]
const SORT_LABELS = { name: 'by name', used: 'used last', stored: 'newest', size: 'largest' }
const STATES = ['queued', 'running', 'done', 'failed', 'cancelled'] as const
const ANSWERS = {
  held: 'what is stored, which is fresh',
  stale: 'what is stored, while it is revalidated in the background',
  fetched: 'fetched anew',
  failure: 'the current failure',
}

/** A path with parameters; those without a value are left out. */
function linkTo(path: string, query: Readonly<Record<string, unknown>>): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '')
  return `${path}?${new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)]))}`
}

/** The share of answers of the last hour that needed no upstream. */
function hitRatio(meters: Management['meters'], { percent, count }: ReturnType<typeof formatterAt>) {
  const hour = meters.series('hour')
  const sum = (pick: 'memory' | 'disk' | 'upstream') => hour.reduce((total, one) => total + one[pick], 0)
  const hits = sum('memory') + sum('disk')
  const all = hits + sum('upstream')
  return {
    hitRatio: all === 0 ? '–' : percent(hits / all),
    hits: all === 0 ? 'no requests yet' : `${count(hits)} of ${count(all)}`,
  }
}

const overview: Page = async ({ management, settings, reasons }, { query }) => {
  const { disk, now } = settings
  const { meters } = management
  const words = formatterAt(now())
  const span = query.get('span') === 'day' ? 'day' : 'hour'
  const hostSort = HOST_SORTS.find(({ id }) => id === query.get('hosts'))?.id ?? 'busiest'
  const stats = management.stats()
  const { figures, json } = drawCharts(meters, span, words)
  const failing = management.failures('', 1000, true)
  const hosts = [...meters.hosts()]
  if (hostSort === 'slowest') hosts.sort((a, b) => b.mean - a.mean)
  if (hostSort === 'failing') hosts.sort((a, b) => b.failures - a.failures)
  return {
    stats,
    bounds: disk,
    status: management.status(),
    reasons: reasons(),
    diagnostics: management.diagnostics(),
    recent: await management.jobs({ lane: 'job', limit: 6 }),
    nodes: await management.nodes(),
    numbers: {
      ...hitRatio(meters, words),
      diskShare: disk.maxBytes === 0 ? 0 : stats.bytes / disk.maxBytes,
      failures: `${words.count(failing.failures.length)}${failing.next === undefined ? '' : '+'}`,
    },
    kinds: management.byKind(),
    hosts: hosts.slice(0, 15),
    hostSort,
    hostSorts: HOST_SORTS,
    resting: stats.restingHosts,
    spans: SPANS,
    span,
    charts: figures,
    chartData: json,
    hasExport: settings.export.directory !== undefined,
    hasRecords: settings.repository?.list !== undefined,
  }
}

const images: Page = async ({ management, settings: { kinds, sources } }, { query, base }) => {
  const given = Object.fromEntries([...query].filter(([, value]) => value !== ''))
  const parsed = searchQuery.safeParse(given)
  const asked = parsed.success ? parsed.data : searchQuery.parse({})
  const found = await management.search(asked)
  const { after: _after, ...first } = asked
  const path = `${base}/images`
  const ofSources = sources.flatMap((source) => source.kinds)
  return {
    ...found,
    query: asked,
    ...(!parsed.success && { notice: 'What was asked for makes no sense: everything is shown.' }),
    next: found.next === undefined ? undefined : linkTo(path, { ...asked, after: found.next }),
    first: linkTo(path, first),
    roles: ROLES,
    kindNames: [...new Set([...kinds.keys(), ...ofSources])].sort(),
    sorts: SORTS.map((id) => ({ id, label: SORT_LABELS[id] })),
  }
}

const image: Page = ({ management }, { query }) => {
  const details = management.image(query.get('name') ?? '')
  const root = details.original?.key ?? details.image.key
  const address = root.startsWith('images/') ? root.slice('images/'.length) : undefined
  const [kind, , ...id] = address?.split('/') ?? []
  return {
    ...details,
    address,
    warmable: kind === undefined ? undefined : `${kind}/${id.join('/')}`,
    answers: ANSWERS,
  }
}

const jobs: Page = async ({ management }, { query, base }) => {
  const lane = query.get('lane') === 'task' ? 'task' : 'job'
  const state = STATES.find((one) => one === query.get('state'))
  const before = /^\d{1,15}$/.test(query.get('before') ?? '') ? Number(query.get('before')) : undefined
  const found = await management.jobs({ lane, limit: JOBS_PAGE, state, before })
  const last = found.length === JOBS_PAGE ? found.at(-1) : undefined
  return {
    jobs: found,
    states: STATES,
    query: { lane, state },
    next: last && linkTo(`${base}/jobs`, { lane, state, before: last.id }),
  }
}

const recordOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
/** `freedBytes` → `freed bytes`. */
const wordsOf = (name: string): string => name.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`)
const valueText = (value: unknown): string => {
  if (Array.isArray(value)) return value.map(valueText).join(', ') || 'none'
  const fields = Object.entries(recordOf(value))
  return typeof value === 'object' && value !== null
    ? fields.map(([name, inner]) => `${name}: ${valueText(inner)}`).join(', ') || 'none'
    : String(value)
}

const job: Page = async ({ management, settings }, { param }) => {
  const { job: found } = await management.job(param('id'))
  const { going = [], ...counts } = recordOf(found.result)
  const words = formatterAt(settings.now())
  const isDry = found.kind === 'cleanup' && recordOf(found.payload).dryRun === true
  const toRemove = Array.isArray(going) ? going : []
  const removed = Number(counts.removed ?? 0)
  return {
    job: found,
    title: isDry ? `Clean-up ${found.id}, a dry run` : words.job(found),
    isOpen: found.endedAt === undefined,
    result: Object.entries(counts).map(([name, value]) => ({
      name: wordsOf(name),
      value:
        /bytes$/i.test(name) && typeof value === 'number'
          ? words.bytes(value)
          : words.plain(valueText(value)),
    })),
    going: toRemove,
    goingMore: removed > toRemove.length ? removed : 0,
    remove:
      isDry && found.state === 'done'
        ? { count: removed, maxAgeDays: recordOf(found.payload).maxAgeDays ?? 90 }
        : undefined,
    children: found.lane === 'job' ? await management.jobs({ parent: found.id, limit: CHILDREN }) : [],
  }
}

const failures: Page = ({ management }, { query, base }) => {
  const { failures: found, next } = management.failures(query.get('after') ?? '', JOBS_PAGE, true)
  return {
    failures: found,
    next: next === undefined ? undefined : linkTo(`${base}/failures`, { after: next }),
  }
}

/** A page for each path. A new one is a function here, a line in this list, and a template. */
export const DASHBOARD_PAGES = [
  { path: '/', name: 'overview', tab: 'overview', page: overview },
  { path: '/images', name: 'images', tab: 'images', page: images },
  { path: '/image', name: 'image', tab: 'images', page: image },
  { path: '/jobs', name: 'jobs', tab: 'jobs', page: jobs },
  { path: '/jobs/{id}', name: 'job', tab: 'jobs', page: job },
  { path: '/failures', name: 'failures', tab: 'failures', page: failures },
] as const satisfies readonly { path: string; name: (typeof PAGES)[number]; tab: string; page: Page }[]
