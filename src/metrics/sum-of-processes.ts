/** Figures of several processes as one: what is of a directory is in the figures of each of them, and counts once. */
import type { Figure } from './figures.js'

/** Figures of one toolkit of a process. */
export interface ProcessFigures {
  readonly directory: string
  /** Whether the directory is in use; without it all is in memory, and of this process. */
  readonly isDurable: boolean
  readonly figures: readonly Figure[]
}

type Labels = Figure['values'][number]['labels']

const always = (): boolean => true
/** Which values are of the directory. */
const OF_DIRECTORY: Readonly<Record<string, (labels: Labels) => boolean>> = {
  artwork_names: always,
  artwork_uploads: always,
  artwork_processes: always,
  artwork_bytes: ({ where }) => where !== 'memory',
  artwork_queue_depth: ({ queue }) => queue === 'refresh',
}

const withoutShared = (figure: Figure): Figure => {
  const isShared = OF_DIRECTORY[figure.name]
  if (isShared === undefined) return figure
  return { ...figure, values: figure.values.filter(({ labels }) => !isShared(labels)) }
}

/** What is to be summed. */
export function sumOf(processes: readonly ProcessFigures[]): readonly (readonly Figure[])[] {
  const counted = new Set<string>()
  return processes.map(({ directory, isDurable, figures }) => {
    const isCounted = isDurable && counted.has(directory)
    if (isDurable) counted.add(directory)
    return isCounted ? figures.map(withoutShared) : figures
  })
}
