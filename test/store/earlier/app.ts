/** An app on the directory of the fixture, as the one that wrote it was, and what it is held to. */

import express from 'express'
import * as toolkit from 'express-artwork'
import { expect } from 'vitest'
import { atEnd, listen, temporaryFolder } from '../../support/toolkit.js'
import {
  type Answer,
  ask,
  type Listed,
  type ListedJob,
  readExpectation,
  unpack,
  watchOrigin,
} from './directory.js'
import { directoryOptions, ORIGIN, withEarlierEncoding } from './options.js'

/** What is known of the directory. */
export const known = readExpectation()

/** The directory as it was, in a folder of its own, and who counts those that come to where its upstream was. */
export async function unpacked() {
  const origin = await watchOrigin()
  atEnd(origin.close)
  return { ...unpack(await temporaryFolder()), origin }
}

/** A logger that keeps warnings and errors, each with the text of what led to it. */
function listener() {
  const lines: string[] = []
  const textOf = (error: unknown): string =>
    error instanceof Error ? `${error.message} ${textOf(error.cause)}` : ''
  const note = (fields: object, message: string): void => {
    const { err, ...rest } = { err: undefined, ...fields }
    lines.push(`${message} ${JSON.stringify(rest)} ${textOf(err)}`)
  }
  return { lines, logger: { debug: () => {}, info: () => {}, warn: note, error: note } }
}

/** Opens a directory as the app did that wrote it, a minute after that was closed. */
export async function openEarlier(
  directory: string,
  more: { library?: string; alsoAllowed?: readonly string[] } = {},
) {
  const { logger, lines } = listener()
  const now = () => known.closedAt + 60_000
  const options = withEarlierEncoding(directoryOptions(toolkit, { directory, now, logger, ...more }))
  const artwork = await toolkit.createArtwork(options)
  atEnd(artwork.close)
  const { url } = await listen(
    express().use(artwork.router, artwork.healthRouter).use('/api/images', artwork.manageRouter),
  )
  const getJson = async <T = Record<string, unknown>>(path: string): Promise<T> =>
    (await (await fetch(url + path)).json()) as T
  const listed = async () =>
    (await getJson<{ images: Listed[] }>('/api/images/images?sort=name&limit=500')).images
  return { artwork, url, lines, getJson, listed }
}
/** See {@link openEarlier}. */
export type Opened = Awaited<ReturnType<typeof openEarlier>>

/** What was answered with a picture. */
export const answeredPictures: readonly Answer[] = known.answers.filter(({ status }) => status === 200)
/** Whether an answer's picture is made from an original of which the catalogue has a row, and nobody the bytes. */
export const needsRow = ({ path }: Answer): boolean =>
  known.images.some(({ held, name }) => !held && path.includes(name.split('/').at(-1) ?? name))

/** Asks for everything again: the answers are what they were, byte for byte. */
export async function expectAnswers({ url }: Pick<Opened, 'url'>, answers: readonly Answer[]): Promise<void> {
  const now: Answer[] = []
  for (const answer of answers) now.push(await ask(url, answer))
  // The text of a refusal, with the seconds that are left of it, is nobody's promise.
  const facts = ({ path, status, ...rest }: Answer) => {
    // A negotiated AVIF is answered as the WebP of the same variant, where that is no larger.
    const isChosenAnew = rest.accept?.includes('avif') === true
    return status < 400 && !isChosenAnew ? { path, status, ...rest } : { path, status }
  }
  expect(now.map(facts)).toEqual(answers.map(facts))
}
/** Everything came from what is kept: nothing was asked for, and nothing made again. */
export function expectUntouched({ artwork }: Opened): void {
  const { requests, badCopies, leftovers } = artwork.images.stats()
  const { misses, upstreamRequests, encodes } = requests
  const none = { misses: 0, upstreamRequests: 0, encodes: 0, badCopies: 0, leftovers: 0 }
  expect({ misses, upstreamRequests, encodes, badCopies, leftovers }).toEqual(none)
}
/** Every upload is there. */
export async function expectUploads({ artwork }: Opened): Promise<void> {
  // How an image looks, that version did not know.
  for (const [namespace, images] of Object.entries(known.uploads))
    expect((await artwork.uploads?.list(namespace))?.images).toMatchObject([...images])
  expect(artwork.images.stats().uploads).toMatchObject({ images: 3, badCopies: 0 })
}
/** Every entity has its picture, under the same path. */
export async function expectEntities({ artwork, getJson }: Opened): Promise<void> {
  expect(known.artwork).toHaveLength(8)
  for (const { kind, id, path, url } of known.artwork) {
    expect(artwork.images.getDisplayUrl(null, path, kind, { requireLocal: true })).toBe(url)
    const about = await getJson(`/api/images/${kind}/${encodeURIComponent(id)}`)
    expect(about).toMatchObject({ image_url: url, cached: true })
  }
}
/** What waits, what has ended, what is left alone for a while, and the schedules are as they were. */
export async function expectWork({ artwork, getJson }: Opened): Promise<void> {
  const { jobs } = await getJson<{ jobs: ListedJob[] }>('/api/images/jobs?limit=500')
  expect(jobs).toMatchObject(known.jobs)
  const waiting = known.jobs.filter(({ state }) => state === 'queued')
  expect(waiting.map(({ kind }) => kind).sort()).toEqual(['download', 'download', 'refresh', 'sync', 'warm'])
  const { queue } = await getJson<{ queue: object }>('/api/images/stats')
  const { queued, paused, schedules } = known.queue
  expect(queue).toMatchObject({ queued, paused, schedules })
  const resting = artwork.refresher.enqueue('artist', { id: 'gone', image_url: `${ORIGIN}/missing.jpg` })
  expect(resting).toEqual({ accepted: false, reason: 'recently failed' })
}
