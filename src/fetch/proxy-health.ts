/** Whether a proxy works: what its failures and answers say of it, and until when it is left out. */
import { ArtworkError, asArtworkError, isRefusal } from '../model/failure.js'

/** What became of a proxy so far. */
export interface ProxyHealth {
  consecutiveFailures: number
  succeeded: number
  failed: number
  /** Not used until then, ms since the epoch. */
  restingUntil: number
}

/** When a proxy is left out. */
export interface HealthOptions {
  /** Failures in a row after which a proxy rests, and for how long, ms. */
  readonly restAfter: number
  readonly restFor: number
}

/** Failures that were a proxy's, so that they do not count against the source's host. */
const proxyTroubles = new WeakSet<ArtworkError>()
/** Whether an error has to do with a proxy, and not with the source behind it. */
export const isProxyTrouble = (error: unknown): boolean =>
  error instanceof ArtworkError && proxyTroubles.has(error)

/** Answers that a proxy may give in the name of a source. */
const AMBIGUOUS = new Set([502, 503, 504])

/** Watches the attempts of one fetch. Undefined options: there are no proxies. */
export function watchProxies(options: HealthOptions | undefined, now: () => number) {
  const tried = new Set<ProxyHealth>()
  /** Proxies whose failure or answer may be the source's own. */
  const suspects = new Map<ProxyHealth, 'answered' | 'failed'>()

  const countFailure = (health: ProxyHealth): void => {
    health.consecutiveFailures += 1
    if (options === undefined || health.consecutiveFailures < options.restAfter) return
    health.restingUntil = now() + options.restFor
    health.consecutiveFailures = 0
  }
  const failed = (health: ProxyHealth, error: unknown): void => {
    const failure = asArtworkError(error)
    const code = proxyCode(failure)
    tried.add(health)
    if (code !== undefined) proxyTroubles.add(failure)
    if (failure.code === 'cancelled' || isRefusal(failure)) return
    if (code === undefined && failure.code !== 'connection' && failure.code !== 'timeout') return
    health.failed += 1
    if (code === 'EPROXY') countFailure(health)
    else suspects.set(health, 'failed')
  }
  /** @throws ArtworkError `connection` for an answer that is the proxy's own */
  const answered = (health: ProxyHealth, status: number, isTunnelled: boolean): void => {
    if (isTunnelled || (status !== 407 && !AMBIGUOUS.has(status))) {
      health.succeeded += 1
      health.consecutiveFailures = 0
      health.restingUntil = 0
      suspects.delete(health)
      return
    }
    tried.add(health)
    health.failed += 1
    if (status !== 407) {
      if (!suspects.has(health)) suspects.set(health, 'answered')
      return
    }
    countFailure(health)
    const failure = new ArtworkError('connection', 'the proxy failed')
    proxyTroubles.add(failure)
    throw failure
  }

  return {
    /** Proxies that did not succeed in this fetch. */
    tried: tried as ReadonlySet<ProxyHealth>,
    /**
     * Runs an attempt through a proxy, and counts its outcome.
     * @param isTunnelled whether the answer is the source's own, asked after the attempt
     */
    observe: async <T extends { readonly status: number }>(
      health: ProxyHealth,
      attempt: () => Promise<T>,
      isTunnelled: () => boolean,
    ): Promise<T> => {
      const answer = await attempt().catch((error) => {
        failed(health, error)
        throw error
      })
      answered(health, answer.status, isTunnelled())
      return answer
    },
    /**
     * At the end of a fetch. Where two proxies or more have failed alike, it was the source; where a single one gave
     * an ambiguous answer, it cannot be known.
     */
    end: (isSuccess: boolean): void => {
      for (const [health, how] of suspects)
        if (isSuccess || (suspects.size === 1 && how === 'failed')) countFailure(health)
    },
  }
}

/** The code of a proxy's failure in a chain of causes. */
function proxyCode(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1)
    if ('code' in at && /^EPROXY(?:REPLY)?$/.test(String(at.code))) return String(at.code)
  return undefined
}
