/** The text that Prometheus reads, and the figures of the process itself: what needs the package prom-client. */
import type { MetricObjectWithValues, MetricValue, Registry } from 'prom-client'
import { ArtworkError } from '../model/failure.js'
import { isMissingPackage } from '../model/optional-package.js'
import { requirePackage } from '../package-files.js'
import type { Figure } from './figures.js'

/** The media type of that text. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** What is wrong where the package is not installed. */
const NO_PROM_CLIENT =
  'metrics are printed by the package prom-client, which is not installed: npm install prom-client'

/** @throws ArtworkError `unavailable` (503) where the package is not installed */
function loadPromClient(): typeof import('prom-client') {
  try {
    return requirePackage('prom-client')
  } catch (error) {
    if (isMissingPackage(error)) throw new ArtworkError('unavailable', NO_PROM_CLIENT)
    throw error
  }
}

/** What mends it where the package is not installed; undefined where it is. @throws what loading it throws else */
export function missingPackage(): string | undefined {
  try {
    loadPromClient()
    return undefined
  } catch (error) {
    if (error instanceof ArtworkError && error.message === NO_PROM_CLIENT) return NO_PROM_CLIENT
    throw error
  }
}

let registry: Registry | undefined
function processRegistry(): Registry {
  const { collectDefaultMetrics, Registry } = loadPromClient()
  if (registry !== undefined) return registry
  registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return registry
}

/** `process_…` and `nodejs_…`, from the first time that somebody asks. */
export const readProcessFigures = async (): Promise<readonly Figure[]> =>
  (await processRegistry().getMetricsAsJSON()) as unknown as readonly Figure[]

/** The figures of several processes as one text. */
export async function printFigures(processes: readonly (readonly Figure[])[]): Promise<string> {
  const { AggregatorRegistry } = loadPromClient()
  const figures = processes as unknown as MetricObjectWithValues<MetricValue<string>>[][]
  return AggregatorRegistry.aggregate(figures).metrics()
}
