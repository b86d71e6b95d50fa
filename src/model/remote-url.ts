/** Addresses of the source `remote` as people read them: with the URL that their id stands for. */
import { isSoundUrl } from './web-url.js'

/** `remote/{variant}/{id}`, anywhere in a text. */
const ADDRESS = /(\bremote\/(?:[a-z0-9-]+\/)?)([A-Za-z0-9_-]{11,})/g

/** The text that an id of the source `remote` stands for: unpadded base64url; undefined for one that is written otherwise. */
export function remoteIdText(id: string): string | undefined {
  const bytes = Buffer.from(id, 'base64url')
  return bytes.toString('base64url') === id ? bytes.toString('utf8') : undefined
}

const urlOf = (id: string): string | undefined => {
  const text = remoteIdText(id)
  return text !== undefined && isSoundUrl(text) ? text : undefined
}

/** A text with the URLs in the place of the ids in it; ids that stand for no URL stay. For people: nothing reads it back. */
export const withRemoteUrls = (text: string): string =>
  text.replace(ADDRESS, (whole, before: string, id: string) => {
    const url = urlOf(id)
    return url === undefined ? whole : before + url
  })

/** The URL behind an address, or a key, of the source `remote`; undefined for any other. */
export function remoteUrlOf(address: string): string | undefined {
  const [, id = ''] = /(?:^|\/)remote\/[^/]+\/([A-Za-z0-9_-]+)$/.exec(address) ?? []
  return id === '' ? undefined : urlOf(id)
}
