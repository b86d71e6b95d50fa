/** The dashboard's charts: as numbers for uPlot, as a still line of SVG, and as a table for who sees neither. */
import type { Latencies, Sample, TimeSeries } from '../../metrics/time-series.js'
import type { formatterAt } from './format.js'

/** A line of a chart. */
interface Line {
  readonly label: string
  readonly values: readonly number[]
}

/** A chart before it is drawn. */
interface Chart {
  readonly id: string
  readonly title: string
  readonly note?: string
  readonly axis: string
  readonly unit?: 'bytes'
  readonly lines: readonly Line[]
  /** Seconds since the epoch, or the names of bars. */
  readonly at: readonly number[] | readonly string[]
}

const WIDTH = 600
const HEIGHT = 160
/** The table has the latest. */
const ROWS = 60

const isBars = (at: Chart['at']): at is readonly string[] => typeof at[0] === 'string'

function pointsOf(values: readonly number[], highest: number): string {
  const step = values.length > 1 ? WIDTH / (values.length - 1) : 0
  return values
    .map(
      (value, index) =>
        `${(index * step).toFixed(1)},${(HEIGHT - (value / highest) * (HEIGHT - 8)).toFixed(1)}`,
    )
    .join(' ')
}

type Formatter = ReturnType<typeof formatterAt>

/** A chart as its template takes it. */
function figureOf({ id, title, note, axis, unit, lines, at }: Chart, fmt: Formatter) {
  const word = unit === 'bytes' ? fmt.bytes : fmt.count
  const isEmpty =
    (!isBars(at) && at.length < 2) || lines.every(({ values }) => values.every((value) => value === 0))
  const highest = Math.max(1, ...lines.flatMap(({ values }) => values))
  const rows = at
    .map((place, index) => [
      typeof place === 'string' ? place : fmt.time(place * 1000),
      ...lines.map(({ values }) => word(values[index] ?? 0)),
    ])
    .slice(-ROWS)
  return {
    id,
    title,
    note,
    axis,
    isEmpty,
    rows: isBars(at) ? rows : rows.reverse(),
    lines: lines.map(({ label, values }) => ({
      label,
      points: pointsOf(values, highest),
      last: word(isBars(at) ? values.reduce((sum, one) => sum + one, 0) : (values.at(-1) ?? 0)),
    })),
  }
}

const dataOf = ({ id, lines, at, unit }: Chart) => ({
  id,
  unit,
  lines: lines.map(({ label }) => label),
  ...(isBars(at) && { bars: true, labels: at }),
  data: [isBars(at) ? at.map((_label, index) => index) : at, ...lines.map(({ values }) => values)],
})

function chartsOf(
  samples: readonly Sample[],
  latencies: ReturnType<TimeSeries['latencies']>,
  span: string,
): Chart[] {
  const at = samples.map((sample) => Math.round(sample.at / 1000))
  const line = (label: string, pick: (sample: Sample) => number): Line => ({
    label,
    values: samples.map(pick),
  })
  const bars = (latency: Latencies): readonly number[] => latency.counts
  const bounds = latencies.fetch.upTo
  const labels = [...bounds.map((ms) => (ms < 1000 ? `≤ ${ms} ms` : `≤ ${ms / 1000} s`)), 'longer']
  const each = span === 'day' ? 'every 5 min' : 'every 10 s'
  return [
    {
      id: 'answers',
      title: 'Answers by layer',
      note: each,
      axis: 'Until',
      at,
      lines: [
        line('memory', (one) => one.memory),
        line('disk', (one) => one.disk),
        line('upstream', (one) => one.upstream),
      ],
    },
    {
      id: 'bytes',
      title: 'Bytes kept',
      axis: 'At',
      unit: 'bytes',
      at,
      lines: [line('disk', (one) => one.bytes), line('memory', (one) => one.memoryBytes)],
    },
    {
      id: 'queue',
      title: 'Queue and failures',
      note: each,
      axis: 'At',
      at,
      lines: [
        line('waiting', (one) => one.queued),
        line('under way', (one) => one.running),
        line('failures', (one) => one.failures),
      ],
    },
    {
      id: 'latencies',
      title: 'How long it took',
      note: 'since start',
      axis: 'Time',
      at: labels,
      lines: [
        { label: 'fetching', values: bars(latencies.fetch) },
        { label: 'making', values: bars(latencies.encode) },
      ],
    },
  ]
}

/** The charts of a page, and their numbers as JSON that may stand in HTML. */
export function drawCharts(
  meters: Pick<TimeSeries, 'series' | 'latencies'>,
  span: 'hour' | 'day',
  fmt: Formatter,
) {
  const charts = chartsOf(meters.series(span), meters.latencies(), span)
  return {
    figures: charts.map((chart) => figureOf(chart, fmt)),
    json: JSON.stringify(charts.map(dataOf)).replaceAll('<', '\\u003c'),
  }
}
