/** Mistakes in how the toolkit is used, each with its message, which names the option or the call that mends it. */

/** The causes. */
export type DiagnosticCode =
  | 'host-not-listed'
  | 'not-started'
  | 'kind-missing'
  | 'kind-unknown'
  | 'size-not-offered'
  | 'macro-argument'
  | 'no-such-address'
  | 'proxy-not-trusted'
  | 'directory-readable'
  | 'metrics-not-printed'

/** A mistake that was met. */
export interface Diagnosed {
  readonly code: DiagnosticCode
  /** What it is about: a host, a kind, a width. */
  readonly about: string
  readonly message: string
}

const quoted = (text: string): string => JSON.stringify(text.slice(0, 120))

/** A source URL whose host no source takes. */
export const hostNotListed = (host: string, hasRemote: boolean): Diagnosed => ({
  code: 'host-not-listed',
  about: host,
  message: `${host} is not in remote({ hosts }): its images are printed with their own URLs and never stored. ${hasRemote ? `Add ${quoted(host)} to hosts` : `Add remote({ hosts: [${quoted(host)}] }) to sources`}`,
})

/** Entities are shown whose images nobody fetches. */
export const notStarted = (): Diagnosed => ({
  code: 'not-started',
  about: 'start',
  message:
    'templates show entities whose images are not stored, and nothing fetches them: call artwork.start() when the app has started, in one process at least',
})

/** An entity without a kind. @param fields its fields, by which it is found */
export const kindMissing = (fields: readonly string[]): Diagnosed => ({
  code: 'kind-missing',
  about: fields.join(', '),
  message: `a template shows an entity without a kind (its fields: ${fields.join(', ')}): its image is never stored. Name its kind in the filter or macro, ({{ it | image_display_url(kind='album') }}), give it an entity_type, or set the option kindOf; kinds of your own are declared in entities`,
})

/** A kind that no one declares. */
export const kindUnknown = (kind: string, known: readonly string[]): Diagnosed => ({
  code: 'kind-unknown',
  about: kind,
  message: `a template shows the kind ${quoted(kind)}, which is not known: its image is never stored. Declare it in entities, or take one of ${known.slice(0, 30).join(', ')}`,
})

/** A variant, or a width of a `srcset`, that is not offered. */
export const sizeNotOffered = (variant: string, why: string): Diagnosed => ({
  code: 'size-not-offered',
  about: variant,
  message: `a template asks for ${quoted(variant)}, which is not offered (${why}): it is left out. List its width in widths, or name the variant in presets`,
})

/** An argument of a macro that is wrong or not known. */
export const macroArgument = (macro: string, what: string): Diagnosed => ({
  code: 'macro-argument',
  about: `${macro}: ${what}`,
  message: `the macro ${macro}: ${what}`,
})

/** A text in the shape of an address of ours that names nothing. */
export const noSuchAddress = (text: string): Diagnosed => ({
  code: 'no-such-address',
  about: text,
  message: `${quoted(text)} looks like the address of an image and names none: it is printed as its placeholder. Addresses are kind/variant/id, as image_url prints them; an upload is there as long as it is not removed`,
})

/** Requests come by a proxy, and nothing says whose they are. */
export const proxyNotTrusted = (field: string): Diagnosed => ({
  code: 'proxy-not-trusted',
  about: field,
  message: `a request has ${field}, and clientOf is not set: all visitors count as one client when they wait for the decoders. Set clientOf to what tells them apart, (req) => req.ip with app.set('trust proxy', 1), and urls.base to the public origin`,
})

/** A directory that others may look into. */
export const directoryReadable = (directory: string, mode: string): Diagnosed => ({
  code: 'directory-readable',
  about: directory,
  message: `other users of this machine can read ${directory} (${mode}), where images and uploads are stored: chmod 700 it, or set directory to a folder of the app's own`,
})

/** `/metrics` was asked for, and what prints it is not installed. @param why with what mends it */
export const metricsNotPrinted = (why: string): Diagnosed => ({
  code: 'metrics-not-printed',
  about: 'prom-client',
  message: why,
})
