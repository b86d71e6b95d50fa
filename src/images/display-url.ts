/** What URL do I print for this? The one decision, synchronous: the local image, else the source, else a placeholder. */
import type { Events } from '../events.js'
import type { EntityId } from '../model/artwork-path.js'
import { hostNotListed, noSuchAddress } from '../model/diagnostic.js'
import { type EntityKind, placeholderFile } from '../model/entity.js'
import type { Entry } from '../model/entry.js'
import { freshnessOf } from '../model/freshness.js'
import type { NoPicture } from '../model/no-picture.js'
import { sourceKindsOf } from '../model/subject.js'
import { artworkPathOf, entityImageUrl, isOwnUrl, placeholderUrl, readOwnUrl } from '../model/urls.js'
import { isSoundUrl, isWebUrl } from '../model/web-url.js'
import type { Settings } from '../options/settings.js'
import type { Store } from '../store/ports.js'
import type { EntityImages, Found } from './entity-images.js'
import type { EntitySizes } from './entity-sizes.js'
import type { KnownFailures } from './known-failures.js'
import type { PresignedUrls } from './presigned-urls.js'
import type { PrintableImage, PrintUrl } from './print-url.js'
import { orUndefined, type References } from './references.js'

/** The question a template asks. */
export interface DisplayQuestion {
  readonly kind: EntityKind | undefined
  readonly id?: EntityId | undefined
  /** Ids of the same entity at providers, in order of priority. */
  readonly providerIds?: readonly EntityId[]
  readonly sourceUrl?: string | undefined
  readonly localPath?: string | undefined
  readonly requireLocal?: boolean | undefined
  readonly params?: Readonly<Record<string, EntityId>>
  /** The kind that was asked for, whether or not it is known. */
  readonly kindName?: string | undefined
}

/** What to print, and what it is. Sides in pixels where known. */
export interface Displayed {
  /** What to print. */
  readonly url: string
  /** Whether it is our own copy, the source's URL, or a placeholder. */
  readonly from: 'local' | 'source' | 'placeholder'
  /** Pixels, where they are known. */
  readonly width?: number
  /** Pixels, where they are known. */
  readonly height?: number
  /** Whether a local picture should be fetched: there is none, or it is of another URL. */
  readonly wanted: boolean
}

/** What to print, and what was found on the way. */
export interface DisplayFound {
  readonly shown: Displayed
  /** The local image that is shown. */
  readonly local?: Found
  /** The source URL that is shown, and the image that it refers to, where that is one. */
  readonly source?: { readonly text: string; readonly image: PrintableImage | undefined }
}

/** What the decision works with. */
export interface DisplayParts {
  readonly settings: Pick<Settings, 'now' | 'freshness' | 'urls' | 'display' | 'sources' | 'offline'>
  readonly events: Pick<Events, 'emit'>
  readonly store: Pick<Store, 'find'>
  readonly entityImages: EntityImages
  readonly references: References
  readonly printUrl: PrintUrl
  readonly presignedUrls: PresignedUrls
  readonly knownFailures: KnownFailures
  readonly noPicture: NoPicture
  readonly entitySizes: Pick<EntitySizes, 'candidates' | 'originalOf' | 'isOffered'>
}

/** Makes the part of the pipeline that templates ask. None of its verbs throws for missing data. */
export function createDisplayUrls(parts: DisplayParts) {
  const { settings, references, presignedUrls } = parts
  return {
    ...parts.printUrl,
    /** Candidates and original of an entity's own image. */
    entity: {
      candidates: parts.entitySizes.candidates,
      originalOf: parts.entitySizes.originalOf,
      isOffered: parts.entitySizes.isOffered,
    },
    display: (question: DisplayQuestion): Displayed => display(parts, question).shown,
    /** The same, with what was found on the way. */
    show: (question: DisplayQuestion): DisplayFound => display(parts, question),
    /** The local image that a question comes to, and its artwork path. */
    local: (question: DisplayQuestion): Found | undefined => findLocal(parts, question),
    /** @param name the kind that was asked for, which may be a source's: `poster` */
    placeholder: (kind: EntityKind | undefined, name?: string): string =>
      placeholderUrl(settings.urls, placeholderFile(kind, name)),
    /** Whether a text is a URL or an address of ours that answers, and no other's. */
    isOwn: (text: string): boolean => {
      if (isWebUrl(text) && !isOwnUrl(settings.urls, text)) return false
      return (
        references.placeholder(text) !== undefined ||
        findByPath(parts, text) !== undefined ||
        references.read(text) !== undefined
      )
    },
    /**
     * The URL that an entity's own image came by, where its record has the same one signed anew, and the image is fresh: so
     * a page prints one URL of it. Never another entity's.
     */
    ownUrl: (question: DisplayQuestion): string | undefined => {
      const { id, sourceUrl } = question
      if (id === undefined || sourceUrl === undefined || !sourceUrl.includes('?')) return undefined
      const entry = findLocal(parts, question)?.entry
      const known = entry?.sourceUrl
      const isOwn = entry?.ownerId === String(id) && known !== undefined && known !== sourceUrl
      return isOwn && presignedUrls.isSame(known, sourceUrl) && !needsDownload(parts, entry, sourceUrl)
        ? known
        : undefined
    },
  }
}

/** See the top of the file. */
export type DisplayUrls = ReturnType<typeof createDisplayUrls>

function display(parts: DisplayParts, question: DisplayQuestion): DisplayFound {
  const { urls } = parts.settings
  const { kind, sourceUrl, localPath } = question
  const requireLocal = question.requireLocal === true || parts.settings.display.requireLocal
  const found = findLocal(parts, question)
  const isNone = found !== undefined && standsForNone(parts, found.entry)
  const isOutdated = isNone && sourceUrl !== undefined && needsDownload(parts, found.entry, sourceUrl)
  if (isNone && !isOutdated)
    return {
      shown: {
        url: placeholderUrl(urls, placeholderFile(kind, question.kindName)),
        from: 'placeholder',
        wanted: false,
      },
    }
  const local = isNone ? undefined : found
  if (local !== undefined) {
    const { path, entry } = local
    const size = entry.width > 0 ? { width: entry.width, height: entry.height } : {}
    const wanted = sourceUrl !== undefined && needsDownload(parts, entry, sourceUrl)
    return { shown: { url: entityImageUrl(urls, path, entry.digest), from: 'local', ...size, wanted }, local }
  }
  const usable = sourceUrl !== undefined && isSoundUrl(sourceUrl) ? sourceUrl : undefined
  // What we printed ourselves, or could print, is as good as a local image.
  const isOther = usable !== undefined && !isOwnUrl(urls, usable)
  const own =
    (localPath === undefined ? undefined : displayOwn(parts, localPath, question)) ??
    (isOther || sourceUrl === undefined ? undefined : displayOwn(parts, sourceUrl, question))
  if (own !== undefined) return { shown: own }
  if (usable !== undefined) {
    const image = parts.printUrl.image(usable, sourceKindsOf(question))
    // Who may have it is asked by us, not by the CDN; there is no picture of the entity for everybody. Without a network ours
    // is the one that answers, at once and always.
    const own = image?.isPrivate || parts.settings.offline !== false ? image?.url() : undefined
    if (own !== undefined) return { shown: { url: own, from: 'local', wanted: false } }
    if (image === undefined && isOther) noteUnlisted(parts, usable, sourceKindsOf(question))
    // A URL that is known to show nothing is not printed.
    if (!requireLocal && image?.isPrivate !== true && image?.failure() !== 'upstream')
      return { shown: { url: usable, from: 'source', wanted: isOther }, source: { text: usable, image } }
  }
  if (usable === undefined) noteAddress(parts, localPath ?? sourceUrl, sourceKindsOf(question))
  return {
    shown: {
      url: placeholderUrl(urls, placeholderFile(kind, question.kindName)),
      from: 'placeholder',
      wanted: isOther,
    },
  }
}

/** Notes the host of a URL that no source takes, where it is the host that they do not take. */
function noteUnlisted(
  { settings: { sources }, events }: DisplayParts,
  text: string,
  kinds: readonly string[],
): void {
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return
  const isTaken = sources.some((source) => orUndefined(() => source.claim(url, kinds)) !== undefined)
  const hasRemote = sources.some(({ name }) => name === 'remote')
  if (!isTaken) events.emit('diagnosed', hostNotListed(url.host, hasRemote))
}

/** Notes a text in the shape of an image's address that names none. An artwork path that has no image yet is none of them. */
function noteAddress(
  { settings: { urls, sources }, events, printUrl }: DisplayParts,
  text: string | undefined,
  kindsOfSource: readonly string[],
): void {
  // One that could not be fetched is an address all the same.
  if (text === undefined || printUrl.image(text, kindsOfSource) !== undefined) return
  const own = readOwnUrl(urls, text)
  const [kind = '', ...rest] = text.split('/')
  const isAddress =
    own === undefined ? rest.length > 0 && sources.some(({ kinds }) => kinds.includes(kind)) : 'image' in own
  if (isAddress) events.emit('diagnosed', noSuchAddress(text))
}

/** Whether an entity's image was made of a picture that stands for none at its source. */
function standsForNone({ entitySizes, noPicture }: DisplayParts, entry: Entry): boolean {
  const thumbhash = entitySizes.originalOf(entry)?.traits?.preview?.thumbhash
  return noPicture({ digest: entry.madeFrom ?? entry.digest, thumbhash })
}

function displayOwn(
  { references, printUrl }: DisplayParts,
  text: string,
  question: DisplayQuestion,
): Displayed | undefined {
  const placeholder = references.placeholder(text)
  if (placeholder !== undefined) return { url: placeholder, from: 'placeholder', wanted: false }
  const url = printUrl.image(text, sourceKindsOf(question))?.url()
  return url === undefined ? undefined : { url, from: 'local', wanted: false }
}

function findLocal(parts: DisplayParts, question: DisplayQuestion): Found | undefined {
  const { kind, id, providerIds = [], localPath, sourceUrl, params } = question
  const named = localPath === undefined ? undefined : findByPath(parts, localPath)
  if (named !== undefined) return named
  if (kind !== undefined)
    for (const own of id === undefined ? providerIds : [id, ...providerIds]) {
      const found = orUndefined(() => parts.entityImages.peekEntity(kind, own, params))
      if (found !== undefined) return found
    }
  const isOwn = sourceUrl !== undefined && (!isWebUrl(sourceUrl) || isOwnUrl(parts.settings.urls, sourceUrl))
  return isOwn ? findByPath(parts, sourceUrl) : undefined
}

/** The local image whose path a text is, or whose URL. */
function findByPath({ settings, entityImages }: DisplayParts, text: string): Found | undefined {
  const path = artworkPathOf(settings.urls, text)
  const entry = path === undefined ? undefined : orUndefined(() => entityImages.peek(path))
  return path === undefined || entry === undefined ? undefined : { path, entry }
}

/** Whether an image is to be fetched from another URL: of another image, or signed anew where the stored one is stale. */
function needsDownload(
  { settings, store, presignedUrls }: DisplayParts,
  { sourceUrl, original }: Entry,
  url: string,
): boolean {
  if (sourceUrl === undefined || sourceUrl === url || !isSoundUrl(url)) return false
  if (!presignedUrls.isSame(sourceUrl, url)) return true
  const known = original === undefined ? undefined : store.find(original, 'memory')
  return known !== undefined && freshnessOf(known, settings.freshness, settings.now()) !== 'fresh'
}
