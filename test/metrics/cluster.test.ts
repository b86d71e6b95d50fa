/** `/metrics` where there are several processes: a scrape is of all of them, or says whose it is. */
import express from 'express'
import { clusterMetrics } from 'express-artwork'
import { expect, test, vi } from 'vitest'
import { beside, startScript } from '../support/child-process.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { anOrigin, atEnd, listen, remoteAddress, startApp, temporaryFolder } from '../support/toolkit.js'

/** Two workers of a cluster, each at a URL of its own, and the primary's. */
async function startCluster(env: Readonly<Record<string, string>>) {
  const origin = await anOrigin()
  for (const name of ['a', 'b', 'c'])
    origin.serve(`/${name}.jpg`, image(await jpeg(60, 40, name.charCodeAt(0))))
  const directory = await temporaryFolder()
  const started = startScript(beside('test/fixtures/cluster.ts'), [], {
    ...process.env,
    DIRECTORY: directory,
    ORIGIN: origin.host,
    ...env,
  })
  atEnd(() => started.stop('SIGKILL'))
  const line = await vi.waitFor(
    () => /serves at (.*)\n/.exec(started.out())?.[1] ?? expect.fail(started.out() + started.err()),
    { timeout: 50_000, interval: 50 },
  )
  const [primary = '', first = '', second = ''] = line.split(' ')
  const scrape = async (url: string) => (await fetch(`${url}/metrics`)).text()
  const show = async (url: string, name: string) =>
    (await fetch(`${url}/images/${remoteAddress(`${origin.url}/${name}.jpg`)}`)).status
  return { primary, first, second, scrape, show, directory }
}
const figureOf = (text: string, figure: string): number | undefined => {
  const line = text.split('\n').find((one) => one.startsWith(`${figure} `))
  return line === undefined ? undefined : Number(line.split(' ').at(-1))
}

test('a cluster whose primary gathers: each worker, and the primary, answer for both', async () => {
  const app = await startCluster({ GATHER: '1' })
  expect([
    await app.show(app.first, 'a'),
    await app.show(app.first, 'b'),
    await app.show(app.second, 'c'),
  ]).toEqual([200, 200, 200])
  for (const url of [app.first, app.second, app.primary]) {
    const text = await app.scrape(url)
    expect(figureOf(text, 'artwork_answers_total{from="upstream"}')).toBe(3)
    expect(figureOf(text, 'artwork_upstream_requests_total')).toBe(3)
    expect(figureOf(text, 'artwork_fetch_seconds_count{outcome="ok"}')).toBe(3)
    // Of the directory: once, though both workers have it open.
    expect(figureOf(text, 'artwork_names{role="original"}')).toBe(3)
    expect(figureOf(text, 'artwork_queue_depth{queue="refresh"}')).toBe(0)
    expect(figureOf(text, 'artwork_processes')).toBe(2)
    expect(figureOf(text, 'artwork_cluster_workers{state="answered"}')).toBe(2)
    expect(figureOf(text, 'artwork_cluster_workers{state="silent"}')).toBe(0)
    const processes = [...text.matchAll(/^artwork_process_info\{pid="(\d+)",worker="(\d)"\} 1$/gm)]
    expect(processes.map(([, , worker]) => worker).sort()).toEqual(['1', '2'])
    expect(new Set(processes.map(([, pid]) => pid)).size).toBe(2)
    expect(text).toMatch(/^process_resident_memory_bytes \d+$/m)
  }
  const [, pid] =
    /^artwork_process_info\{pid="(\d+)",worker="2"\} 1$/m.exec(await app.scrape(app.first)) ?? []
  const disk = Number(figureOf(await app.scrape(app.first), 'artwork_bytes{where="disk"}'))
  expect(disk).toBeGreaterThan(0)
  expect(disk).toBeLessThan(10_000)
  // One that stands still is missing, and that is said.
  process.kill(Number(pid), 'SIGSTOP')
  atEnd(async () => process.kill(Number(pid), 'SIGKILL'))
  const without = await app.scrape(app.primary)
  expect(figureOf(without, 'artwork_cluster_workers{state="silent"}')).toBe(1)
  expect(figureOf(without, 'artwork_upstream_requests_total')).toBeLessThan(3)
})

test('a cluster whose primary gathers nothing: each figure says which worker it is of', async () => {
  const app = await startCluster({})
  expect([await app.show(app.first, 'a'), await app.show(app.second, 'b')]).toEqual([200, 200])
  const names = new Set<string>()
  for (const url of [app.first, app.second]) {
    const text = await app.scrape(url)
    const figures = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    expect(figures.length).toBeGreaterThan(50)
    expect(figures.filter((line) => !/worker="[12]"/.test(line))).toEqual([])
    const [, worker = ''] = /^artwork_process_info\{pid="\d+",worker="(\d)"\} 1$/m.exec(text) ?? []
    names.add(worker)
    expect(figureOf(text, `artwork_upstream_requests_total{worker="${worker}"}`)).toBe(1)
    expect(figureOf(text, `artwork_processes{worker="${worker}"}`)).toBe(2)
  }
  expect([...names].sort()).toEqual(['1', '2'])
})

test('a process that is in no cluster says whose its figures are, and how many have the directory open', async () => {
  const app = await startApp()
  const other = await startApp({}, { directory: app.directory })
  const { url } = await listen(express().use(app.artwork.healthRouter))
  const scrape = async () => (await fetch(`${url}/metrics`)).text()
  const text = await scrape()
  expect(figureOf(text, `artwork_process_info{pid="${process.pid}",worker=""}`)).toBe(1)
  expect(figureOf(text, 'artwork_processes')).toBe(2)
  expect(figureOf(text, 'artwork_uploads')).toBe(0)
  await other.stop()
  await vi.waitFor(async () => expect(figureOf(await scrape(), 'artwork_processes')).toBe(1), {
    timeout: 5000,
  })
  expect(clusterMetrics().contentType).toMatch(/^text\/plain/)
})
