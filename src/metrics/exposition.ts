/** The text that Prometheus reads, and the figures of the process itself: what needs the package prom-client. */
import type { MetricObjectWithValues, MetricValue } from 'prom-client'
import { once } from '../concurrency.js'
import { ArtworkError } from '../model/failure.js'
import { isMissingPackage } from '../model/optional-package.js'
import type { Figure } from './figures.js'

/** The media type of that text. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** What is wrong where the package is not installed. */
export const NO_PROM_CLIENT =
  'metrics are printed by the package prom-client, which is not installed: npm install prom-client'

/** @throws ArtworkError `unavailable` (503) where the package is not installed */
const loadPromClient = once(async () => {
  try {
    // The import stands in its `try`: bundlers leave it alone where the package is not installed.
    return (await import('prom-client')).default
  } catch (error) {
    if (isMissingPackage(error)) throw new ArtworkError('unavailable', NO_PROM_CLIENT)
    throw error
  }
})

/** Whether figures can be printed. */
export const canPrint = (): Promise<boolean> =>
  loadPromClient().then(
    () => true,
    () => false,
  )

const registry = once(async () => {
  const { collectDefaultMetrics, Registry } = await loadPromClient()
  const register = new Registry()
  collectDefaultMetrics({ register })
  return register
})

/** `process_…` and `nodejs_…`, from the first time that somebody asks. */
export const readProcessFigures = async (): Promise<readonly Figure[]> =>
  (await (await registry()).getMetricsAsJSON()) as unknown as readonly Figure[]

/** The figures of several processes as one text. */
export async function printFigures(processes: readonly (readonly Figure[])[]): Promise<string> {
  const { AggregatorRegistry } = await loadPromClient()
  const figures = processes as unknown as MetricObjectWithValues<MetricValue<string>>[][]
  return AggregatorRegistry.aggregate(figures).metrics()
}
