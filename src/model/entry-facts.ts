/** Facts of an entry that came later than the columns of the tables, as one text that is kept beside them. */
import type { Entry, Preview, Traits } from './entry.js'
import { isFocalPoint } from './focal-point.js'

/** Where the facts lie that came later: one text, which an earlier version passes over. */
export const FACTS = 'facts'

/** The facts that came later. */
type LaterFact = 'traits' | 'smallerThan' | 'clientFreshnessLifetime' | 'focalPoint'

/** So much of a digest says whose facts these are, hex digits. */
const DIGEST_START = 16

/**
 * The later facts as text, or undefined where there are none. They say of which bytes they are: an earlier version that
 * stores other bytes under the name leaves them as they were.
 */
export function factsText({
  digest,
  traits,
  smallerThan,
  clientFreshnessLifetime: clientFreshFor,
  focalPoint,
}: Pick<Entry, 'digest' | LaterFact>): string | undefined {
  if ([traits, smallerThan, clientFreshFor, focalPoint].every((fact) => fact === undefined)) return undefined
  return JSON.stringify({
    of: digest.slice(0, DIGEST_START),
    ...(traits && {
      frames: traits.frames,
      alpha: traits.alpha,
      lossless: traits.lossless,
      revised: traits.isRevised,
      ...(traits.preview && { color: traits.preview.color, thumbhash: traits.preview.thumbhash }),
    }),
    ...(smallerThan !== undefined && { smallerThan }),
    ...(clientFreshFor !== undefined && { clientFreshFor }),
    ...(focalPoint && { focalPoint: { x: focalPoint.x, y: focalPoint.y } }),
  })
}

/** The facts in a text, where it is about these bytes and can be read. */
export function readFacts(text: unknown, digest: string): Pick<Entry, LaterFact> {
  if (typeof text !== 'string' || text === '') return {}
  let facts: Record<string, unknown>
  try {
    facts = JSON.parse(text) ?? {}
  } catch {
    return {}
  }
  if (facts.of !== digest.slice(0, DIGEST_START)) return {}
  const { frames, alpha, lossless, revised, smallerThan, clientFreshFor, focalPoint } = facts
  const preview = readPreview(facts)
  const traits: Traits | undefined =
    Number.isSafeInteger(frames) && typeof alpha === 'boolean' && typeof lossless === 'boolean'
      ? { frames: Number(frames), alpha, lossless, isRevised: revised === true, ...(preview && { preview }) }
      : undefined
  return {
    ...(traits && { traits }),
    ...(typeof smallerThan === 'string' && { smallerThan }),
    ...(isFocalPoint(focalPoint) && { focalPoint: { x: focalPoint.x, y: focalPoint.y } }),
    ...(Number.isSafeInteger(clientFreshFor) && { clientFreshnessLifetime: Number(clientFreshFor) }),
  }
}

/** Printed into pages, so what is not as we write it is nothing. */
function readPreview({ color, thumbhash }: Readonly<Record<string, unknown>>): Preview | undefined {
  return typeof color === 'string' &&
    /^#[0-9a-f]{6}$/.test(color) &&
    typeof thumbhash === 'string' &&
    /^[A-Za-z0-9+/]{4,64}={0,2}$/.test(thumbhash)
    ? { color, thumbhash }
    : undefined
}
