/** Sources whose pictures are not for everybody: who decides, request by request, who may have one. */
import type { IncomingMessage } from 'node:http'
import type { Address } from '../model/address.js'

/** Who may have the pictures of a source. */
export interface AccessOptions {
  /**
   * Whether its pictures are for one client each: `Cache-Control: private`, nothing for CDNs, and no answer of the response cache
   * that is in front of Express. Without `authorize`, whoever has their URL may have them; where there are `signing.keys`, the
   * URL must be signed. @default false, and true with `authorize`
   */
  readonly private?: boolean
  /**
   * Whether a request may have a picture, in whatever size; asked before each answer, and before it is known whether there is
   * such a picture. A signature in the URL does not stand in for it.
   * @param req the request: headers, and whatever the app's own middleware before `artwork.router` put on it
   * @param address which picture, and how it was asked for
   * @returns true to allow; false for 403; `'unauthenticated'` for 401. A throw is 403
   */
  readonly authorize?: (
    req: IncomingMessage,
    address: Address,
  ) => boolean | 'unauthenticated' | Promise<boolean | 'unauthenticated'>
}

/** The rules of a source whose pictures are not for everybody. */
export interface Access {
  /** Undefined: whoever has the URL, or the signed URL. */
  readonly authorize: AccessOptions['authorize']
}

/** The names of the options. */
export const ACCESS_OPTIONS = ['private', 'authorize'] as const

/** The rules that options ask for; undefined where the pictures are for everybody. @throws TypeError that names the option */
export function accessOf(where: string, options: AccessOptions): Access | undefined {
  const { authorize, private: isPrivate = authorize !== undefined } = options
  if (typeof isPrivate !== 'boolean')
    throw new TypeError(`${where}.private must be true or false, got ${JSON.stringify(isPrivate)}`)
  if (authorize !== undefined && typeof authorize !== 'function')
    throw new TypeError(
      `${where}.authorize must be a function of a request and an address, got ${JSON.stringify(authorize)}`,
    )
  if (!isPrivate && authorize !== undefined)
    throw new TypeError(`${where}.private must not be false where authorize decides who may have a picture`)
  return isPrivate ? { authorize } : undefined
}
