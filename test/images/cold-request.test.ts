/** What one cold request costs the databases. The bounds are what it costs today: a change may only lower them. */
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { remoteAddress, startApp } from '../support/toolkit.js'

/** Counts the statements that run until `end`. */
function countStatements() {
  const memory = new Database(':memory:')
  const prototype = Object.getPrototypeOf(memory.prepare('SELECT 1'))
  memory.close()
  const texts: string[] = []
  const verbs = ['get', 'all', 'run', 'iterate'] as const
  const original = verbs.map((verb) => prototype[verb])
  for (const [index, verb] of verbs.entries())
    prototype[verb] = function count(this: { source: string }, ...args: unknown[]) {
      texts.push(this.source.trim())
      return original[index].apply(this, args)
    }
  return {
    end: () => {
      for (const [index, verb] of verbs.entries()) prototype[verb] = original[index]
      const count = (pattern: RegExp) => texts.filter((text) => pattern.test(text)).length
      return { selects: count(/^SELECT/i), commits: count(/^COMMIT/i) }
    },
  }
}

test('a rendition of an image that was never seen takes few look-ups and commits', async () => {
  const app = await startApp({ strict: false, transform: { isolate: false } })
  app.origin.serve('/a.jpg', image(await jpeg(300, 200)))
  for (const [index, name] of ['b', 'c', 'd', 'e', 'f'].entries())
    app.origin.serve(`/${name}.jpg`, image(await jpeg(300, 200, index + 2)))
  const ask = (name: string) =>
    fetch(`${app.url}/images/${remoteAddress(`${app.origin.url}/${name}`, 'w300-webp')}`)
  expect((await ask('a.jpg')).status).toBe(200)
  // What runs by the clock beside a request is none of its own: of several, the one with the fewest counts.
  const costs = []
  for (const name of ['b.jpg', 'c.jpg', 'd.jpg', 'e.jpg', 'f.jpg']) {
    // Nor is what is stored behind the answer before.
    await eventually(() => expect(app.artwork.images.stats().waitingBytes).toBe(0))
    const counting = countStatements()
    expect((await ask(name)).status).toBe(200)
    costs.push(counting.end())
  }
  const selects = Math.min(...costs.map((cost) => cost.selects))
  const commits = Math.min(...costs.map((cost) => cost.commits))
  // For the original and for the rendition each: the lease that other processes wait for, the reservation of space, and
  // the entry, which may only be named when its file is there.
  expect(commits).toBeGreaterThan(0)
  expect(commits).toBeLessThanOrEqual(6)
  expect(selects).toBeGreaterThan(0)
  expect(selects).toBeLessThanOrEqual(33)
})
