/** A source whose ids have colons, and whose URLs name what they stand for. */
import type { Source } from 'express-artwork'

/** Fetches `/{id}` of an origin. */
export function colonSource(origin: () => string): Source {
  return {
    name: 'colons',
    kinds: ['colons'],
    defaultVariant: () => 'original',
    nativeWidths: () => [],
    isNative: (_kind, variant) => variant.base === 'original',
    check: ({ address }) => ({ address, original: { ...address, variant: 'original' } }),
    originalsOf: (address) => [address],
    locate: ({ id }) => ({ url: `${origin()}/${id}`, admits: () => true }),
    claim: () => undefined,
    cache: { kind: 'immutable', maxAge: 604_800 },
  }
}
