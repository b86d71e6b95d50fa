/** Figures as Prometheus knows them, as plain data: what is counted needs no package, only printing does. */

/** How figures of several processes become one. */
export type Aggregator = 'sum' | 'max' | 'min' | 'first'

/** A value, and what it is of. */
export interface FigureValue {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number | undefined>>
  /** The line that it is printed in, where that is not the figure's own name. */
  readonly metricName?: string
}

/** A figure with its values. */
export interface Figure {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly aggregator: Aggregator
  readonly values: readonly FigureValue[]
}

type Values = number | readonly FigureValue[]

const valuesOf = (values: Values): readonly FigureValue[] =>
  typeof values === 'number' ? [{ value: values, labels: {} }] : values

/** What only grows. */
export const counter = (name: string, help: string, values: Values): Figure => ({
  name,
  help,
  type: 'counter',
  aggregator: 'sum',
  values: valuesOf(values),
})

/** What is so now. */
export const gauge = (
  name: string,
  help: string,
  values: Values,
  aggregator: Aggregator = 'sum',
): Figure => ({
  name,
  help,
  type: 'gauge',
  aggregator,
  values: valuesOf(values),
})

/** Values by what one label says. */
export const by = (label: string, values: readonly (readonly [string, number])[]): readonly FigureValue[] =>
  values.map(([text, value]) => ({ value, labels: { [label]: text } }))

/** The same figures, each with another label. */
export const withLabel = (figures: readonly Figure[], label: string, text: string): readonly Figure[] =>
  figures.map((figure) => ({
    ...figure,
    values: figure.values.map((value) => ({ ...value, labels: { ...value.labels, [label]: text } })),
  }))

/** How long pieces of work took, by what became of them. */
export interface Histogram {
  /** Counts a piece of work. @param seconds how long it took */
  observe(outcome: string, seconds: number): void
  read(): Figure
}

/** Makes a histogram. @param bounds upper bounds of its buckets, seconds, the smallest first */
export function createHistogram(name: string, help: string, bounds: readonly number[]): Histogram {
  const outcomes = new Map<string, { readonly counts: number[]; sum: number; count: number }>()
  return {
    observe: (outcome, seconds) => {
      const found = outcomes.get(outcome) ?? { counts: bounds.map(() => 0), sum: 0, count: 0 }
      outcomes.set(outcome, found)
      const bucket = bounds.findIndex((bound) => seconds <= bound)
      if (bucket >= 0) found.counts[bucket] = (found.counts[bucket] ?? 0) + 1
      found.sum += seconds
      found.count += 1
    },
    read: () => ({
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values: [...outcomes].flatMap(([outcome, { counts, sum, count }]) => {
        let below = 0
        const buckets = bounds.map((le, index): FigureValue => {
          below += counts[index] ?? 0
          return { value: below, labels: { le, outcome }, metricName: `${name}_bucket` }
        })
        return [
          ...buckets,
          { value: count, labels: { le: '+Inf', outcome }, metricName: `${name}_bucket` },
          { value: sum, labels: { outcome }, metricName: `${name}_sum` },
          { value: count, labels: { outcome }, metricName: `${name}_count` },
        ]
      }),
    }),
  }
}
