/**
 * The port of a source, without I/O: which addresses exist, which original a picture is made from, and where that is
 * fetched.
 */

import type { CachePolicy } from '../http/caching.js'
import type { Address } from '../model/address.js'
import type { FetchRequest, Location } from '../model/location.js'
import type { Format } from '../model/media-type.js'
import type { Preset, Recipe, Variant } from '../model/variant.js'
import type { Access } from './access.js'

/** An address that a source accepts. */
export interface Checked {
  /** The address in canonical form: two texts of one picture come out the same. */
  readonly address: Address
  /** The address of the original it is, or is made from. */
  readonly original: Address
}

/** An address to be checked. */
export interface Question {
  /** The address as it was asked for. */
  readonly address: Address
  /** Its variant, read. */
  readonly variant: Variant
  /** The recipe of the variant: its sizes choose among native ones. */
  readonly recipe: Recipe
}

/** The I/O that a source may ask the pipeline for. */
export interface Means {
  /** The text of a small document; undefined where there is none (404, 410). @throws ArtworkError */
  document(request: FetchRequest): Promise<string | undefined>
  /** A small store that survives a restart; `at` is when the value was set, ms since the epoch. */
  readonly notes: {
    /** What was noted under a key. */
    get(key: string):
      | {
          /** What was noted. */
          readonly value: string
          /** When, ms since the epoch. */
          readonly at: number
        }
      | undefined
    /** Notes a value under a key. */
    set(key: string, value: string): void
  }
  /** Ms since the epoch. */
  now(): number
}

/** A provider of originals. */
export interface Source {
  /** What it is called in errors and settings. */
  readonly name: string
  /** The kinds of address that are its. */
  readonly kinds: readonly string[]
  /** Whether a kind that no source lists is its. */
  owns?(kind: string): boolean
  /** Its originals are uploads, and not fetched. @default false */
  readonly isHosted?: boolean
  /** Its originals are files of this machine: none is stored, and each use looks whether it has changed. @default false */
  readonly isLocal?: boolean
  /** Who may have its pictures. @default everybody */
  readonly access?: Access | undefined
  /** An address of it stands for the same bytes forever: nothing is revalidated. @default false */
  readonly isLasting?: boolean
  /** The variant that is printed where none is asked for. */
  defaultVariant(kind: string): string
  /**
   * Native widths of the kind, pixels, ascending; empty where any picture has its own, and all its variants are made from one
   * original.
   */
  nativeWidths(kind: string): readonly number[]
  /** Width by height of the usual picture of a kind, where there is one. */
  ratioOf?(kind: string): number | undefined
  /** Whether the variant is a native size of the kind, without format token. */
  isNative(kind: string, variant: Variant): boolean
  /**
   * Where the source's own URLs lead, which a page prints as long as there is no copy: sources of a Content Security Policy,
   * such as `https://cdn.example.com` or `*.example.com`. @default none
   */
  readonly origins?: readonly string[]
  /** Format tokens that a variant may have without a signature, where those are few. @default all that are made */
  freeFormats?(variant: Variant): readonly (Format | 'auto')[]
  /** Loads what it needs, before anything is asked of it. @throws Error where that cannot be had */
  prepare?(): Promise<void>
  /** Checks an address without any I/O. @throws ArtworkError `invalid` (400), `refused` (403) */
  check(question: Question): Checked
  /**
   * The originals of the same picture in every native size, this one among them.
   * @param anyKind in every kind that it may belong to
   */
  originalsOf(original: Address, anyKind: boolean): readonly Address[]
  /** Where an original lives; asked on a miss only, and where it is a file, at every use. */
  locate(original: Address, means: Means): Location | Promise<Location>
  /** Whether the bytes are those that the address stands for. @throws ArtworkError `bad_answer` (502) */
  verify?(original: Address, bytes: Buffer): void
  /**
   * The original behind a URL that an app has, where it is this source's.
   * @param kinds which it may be of where the URL does not say, best first
   * @throws ArtworkError as {@link check}
   */
  claim(url: URL, kinds?: readonly string[]): Address | undefined
  /**
   * The original behind a path that an app prints, such as `/static/hero.jpg`, where it is this source's; undefined for any
   * other. Never throws.
   */
  claimPath?(path: string): Address | undefined
  /** The id of the decoded segments of a URL, where they are written otherwise in it. @throws ArtworkError `invalid` (400) */
  idOf?(segments: readonly string[]): string
  /** A URL without the parts that do not identify its picture, such as a signature. @default itself */
  identityOf?(url: URL): string
  /** The name of the file behind an original, where that is not its id. */
  fileName?(original: Address): string | undefined
  /**
   * How its URLs are printed, where that is not the usual way: under another base, or as a URL of its own (undefined:
   * none is known yet, and may be found in the background).
   */
  print?(
    kind: string,
    id: string,
    means: Means,
  ):
    | {
        /** What its paths are printed under. */
        readonly base: string
      }
    | {
        /** The URL that is printed. */
        readonly url: string | undefined
      }
    | undefined
  /** Checks the parts of an address before the general rules. @throws ArtworkError `invalid` (400) */
  precheck?(variant: string, id: string): void
  /** Name of the proxy pool that it is fetched through. */
  readonly pool?: string | undefined
  /** What its variants are called in errors. @default 'size' */
  readonly noun?: string
  /** Presets that come with it. */
  readonly presets?: Readonly<Record<string, Preset>>
  /** Its pictures are removed after so long without use; how often such are searched, ms; 0: never. */
  readonly idle?: {
    /** How long a picture may go unused, ms. */
    readonly maxIdle: number
    /** How often such pictures are searched, ms. */
    readonly sweepEvery: number
  }
  /** How clients may cache a picture whose URL has no `?v=`; undefined for the rule of entities. */
  readonly cache: CachePolicy | undefined
}
