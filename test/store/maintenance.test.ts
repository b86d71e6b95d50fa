/** What the store does about crashes, lost catalogues, other processes, and files that are not as they should be. */

import { execFileSync } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import express from 'express'
import { describe, expect, test, vi } from 'vitest'
import { registerProcess } from '#src/database/process-registry.js'
import { keep } from '#src/database/sqlite.js'
import type { Entry } from '#src/model/entry.js'
import { openCatalogue } from '#src/store/disk/catalogue.js'
import { createContents } from '#src/store/disk/contents.js'
import type { KeyLock } from '#src/store/disk/lock-table.js'
import { SLOTS } from '#src/store/disk/recovery-index.js'
import { createDiskStore } from '#src/store/disk/store.js'
import type { Store } from '#src/store/ports.js'
import { differences, entriesBy } from '../support/entries.js'
import { eventually } from '../support/eventually.js'
import { jpeg } from '../support/images.js'
import { image } from '../support/origin.js'
import { anOrigin, atEnd, listen, quietLogger, startApp, temporaryFolder } from '../support/toolkit.js'

const clock = { now: 1_000_000 }
const open = async (
  directory: string,
  given: {
    maxBytes?: number
    maxNames?: number
    onChange?: (changed: readonly string[] | 'all') => void
  } = {},
): Promise<Store> => {
  const bounds = { maxBytes: 1_000_000, maxNames: 1000 }
  const store = await createDiskStore({
    ...bounds,
    directory,
    now: () => clock.now,
    logger: quietLogger(),
    ...given,
  })
  atEnd(store.close)
  return store
}
const entry = entriesBy(clock)
const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex')
const bytesIn = (directory: string, owner: string = randomUUID()) =>
  createContents(join(directory, 'store-v2'), () => owner)
const textOf = async (store: Store, name: string): Promise<string | undefined> => {
  const found = store.find(name)
  return found && (await store.read(found))?.bytes.toString()
}
/** The mark of a process that is not there any more. */
const aDeadProcess = (directory: string): string => {
  const id = randomUUID()
  mkdirSync(join(directory, 'processes-v2'), { recursive: true })
  writeFileSync(join(directory, 'processes-v2', id), '')
  return id
}

describe('after a crash', () => {
  /** A store with `a` in it, closed, and what a process does with `b` (or `a`) before it dies. */
  const crash = async (
    work: (parts: {
      catalogue: ReturnType<typeof openCatalogue>
      bytes: ReturnType<typeof createContents>
      owner: string
      write: (name: string, text: string) => Entry
    }) => Promise<void>,
  ) => {
    const directory = await temporaryFolder()
    const before = await open(directory)
    await before.write(entry('a'), Buffer.from('old'))
    await before.close()
    const owner = aDeadProcess(directory)
    const bytes = bytesIn(directory, owner)
    const catalogue = openCatalogue(join(directory, 'catalogue-v2.sqlite'), {
      unlink: bytes.unlink,
      now: Date.now,
    })
    const write = (name: string, text: string): Entry => ({
      ...entry(name),
      digest: digestOf(text),
      size: text.length,
      isStored: true,
    })
    await work({ catalogue, bytes, owner, write })
    catalogue.close()
    return directory
  }
  const changeOf = (begun: { ticket: number; name: string } | { busy: string }) => {
    if ('busy' in begun) throw new Error('busy')
    return begun
  }

  test.each([
    ['before anything was written', 0],
    ['after the bytes were written', 1],
    ['after the bytes got their name, before the old ones went', 2],
    ['before the lock went', 3],
  ])('%s: the old bytes or the new, and no leftovers', async (_when, steps) => {
    const directory = await crash(async ({ catalogue, bytes, owner, write }) => {
      const next = write('a', 'new!')
      const ticket = changeOf(catalogue.begin('a', owner, next.digest, next.size))
      if (steps >= 1) await bytes.put(next, ticket.ticket, 1, Buffer.from('new!'))
      if (steps >= 2)
        catalogue.commit(next, { ...ticket, isNew: false, owner, slot: 1, usedAt: 1 }, () =>
          bytes.cost({ entry: next, slot: 1 }),
        )
      if (steps >= 3) bytes.unlink(digestOf('old'))
    })
    const store = await open(directory)
    expect(await textOf(store, 'a')).toBe(steps >= 2 ? 'new!' : 'old')
    await store.ready()
    expect(await textOf(store, 'a')).toBe(steps >= 2 ? 'new!' : 'old')
    expect(differences(directory)).toEqual([])
    expect(store.stats().leftovers).toBeGreaterThan(0)
    await store.write(entry('a'), Buffer.from('next'))
    expect(await textOf(store, 'a')).toBe('next')
  })

  test('a new name that was not given in time is a miss, and its bytes and temporary files go', async () => {
    const directory = await crash(async ({ catalogue, bytes, owner, write }) => {
      const next = write('b', 'new!')
      const ticket = changeOf(catalogue.begin('b', owner, next.digest, next.size))
      await bytes.put(next, ticket.ticket, 0, Buffer.from('new!'))
      const temporary = join(directoryOf(bytes), 'tmp')
      mkdirSync(temporary, { recursive: true })
      writeFileSync(join(temporary, `${owner}-${randomUUID()}`), 'half')
    })
    const store = await open(directory)
    expect(store.find('b')).toBeUndefined()
    await store.ready()
    expect(differences(directory)).toEqual([])
    expect(store.stats()).toMatchObject({ names: 1, bytes: 3 })
  })

  test('bytes that another name has got meanwhile stay', async () => {
    const directory = await crash(async ({ catalogue, bytes, owner, write }) => {
      const b = write('b', 'old')
      const ticket = changeOf(catalogue.begin('b', owner, b.digest, b.size))
      await bytes.put(b, ticket.ticket, 0, Buffer.from('old'))
    })
    const store = await open(directory)
    await store.ready()
    expect(await textOf(store, 'a')).toBe('old')
    expect(differences(directory)).toEqual([])
  })

  test('a name that a dead process holds can be written at once by one that runs', async () => {
    const directory = await temporaryFolder()
    const store = await open(directory)
    await store.write(entry('a'), Buffer.from('old'))
    const owner = aDeadProcess(directory)
    const catalogue = openCatalogue(join(directory, 'catalogue-v2.sqlite'), {
      unlink: () => false,
      now: Date.now,
    })
    catalogue.begin('a', owner, digestOf('new!'), 4)
    catalogue.close()
    await store.write(entry('a'), Buffer.from('next'))
    expect(await textOf(store, 'a')).toBe('next')
    expect(differences(directory)).toEqual([])
  })

  test('files that no name has are swept away; what is not ours is left alone', async () => {
    const directory = await crash(async ({ bytes, write }) => {
      await bytes.put(write('orphan', 'orphan'), 5, 0, Buffer.from('orphan'))
      const folder = dirname(bytes.bucketPath('junk', 0))
      mkdirSync(folder, { recursive: true })
      writeFileSync(bytes.bucketPath('junk', 0), 'no entry at all')
      writeFileSync(join(directoryOf(bytes), 'index-v5', 'README'), 'hello')
      mkdirSync(join(directoryOf(bytes), 'tmp'), { recursive: true })
      writeFileSync(join(directoryOf(bytes), 'tmp', 'somebody'), 'hello')
    })
    const store = await open(directory)
    await store.ready()
    expect(store.stats().leftovers).toBe(3)
    expect(existsSync(join(directory, 'store-v2', 'tmp', 'somebody'))).toBe(true)
    expect(existsSync(join(directory, 'store-v2', 'index-v5', 'README'))).toBe(true)
    rmSync(join(directory, 'store-v2', 'tmp', 'somebody'))
    rmSync(join(directory, 'store-v2', 'index-v5', 'README'))
    expect(differences(directory)).toEqual([])
  })
})

describe('what goes wrong', () => {
  test('a name that a dead process holds, whose bytes turn out damaged, can be written at once', async () => {
    const directory = await temporaryFolder()
    const store = await open(directory)
    const written = await store.write(entry('a'), Buffer.from('old'))
    await store.write(entry('b'), Buffer.from('old'))
    const owner = aDeadProcess(directory)
    const catalogue = openCatalogue(join(directory, 'catalogue-v2.sqlite'), {
      unlink: () => false,
      now: Date.now,
    })
    catalogue.begin('a', owner, digestOf('new!'), 4)
    catalogue.close()
    writeFileSync(bytesIn(directory).contentPath(written.digest), 'bad')
    expect(await store.read(written)).toBeUndefined()
    await store.write(entry('a'), Buffer.from('next'))
    expect(await textOf(store, 'a')).toBe('next')
    expect(store.find('b')).toBeUndefined()
    expect(differences(directory)).toEqual([])
  })

  test('a change that could not be ended is ended by the next one of its name', async () => {
    const directory = await temporaryFolder()
    const store = await open(directory)
    await store.write(entry('a'), Buffer.from('old'))
    // A file where a folder belongs: nothing can be written below.
    const next = dirname(bytesIn(directory).bucketPath('a', 1))
    mkdirSync(dirname(next), { recursive: true })
    writeFileSync(next, 'in the way')
    await expect(store.write(entry('a'), Buffer.from('new!'))).rejects.toMatchObject({ reason: 'disk_write' })
    expect(await textOf(store, 'a')).toBe('old')
    rmSync(next)
    await store.write(entry('a'), Buffer.from('next'))
    expect(await textOf(store, 'a')).toBe('next')
    expect(differences(directory)).toEqual([])
  })

  test('a change that could not be ended gives its space back before pictures are given up for it', async () => {
    const directory = await temporaryFolder()
    const store = await open(directory, { maxBytes: 10_000 })
    for (let index = 0; index < 5; index += 1) await store.write(entry(`n${index}`), Buffer.alloc(900, index))
    const blocked = Array.from({ length: 5 }, (_, index) =>
      dirname(bytesIn(directory).bucketPath(`x${index}`, 0)),
    )
    for (const path of blocked) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, 'in the way')
    }
    for (let index = 0; index < 5; index += 1)
      await expect(store.write(entry(`x${index}`), Buffer.alloc(1000, 50 + index))).rejects.toThrow()
    for (const path of blocked) rmSync(path)
    for (let index = 5; index < 9; index += 1) await store.write(entry(`n${index}`), Buffer.alloc(900, index))
    expect(store.stats()).toMatchObject({ names: 9, evictions: 0 })
    await store.write(entry('n9'), Buffer.alloc(900, 9))
    expect(differences(directory)).toEqual([])
  })

  test('a catalogue that is lost once more while it is read back costs nothing', async () => {
    const directory = await temporaryFolder()
    const first = await open(directory)
    await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        first.write(entry(`n${index}`), Buffer.from(`text ${index}`)),
      ),
    )
    await first.close()
    const lose = () => {
      for (const suffix of ['', '-wal', '-shm'])
        rmSync(join(directory, `catalogue-v2.sqlite${suffix}`), { force: true })
    }
    lose()
    let messages = 0
    const again = await open(directory, {
      onChange: () => {
        messages += 1
        // In the middle of it, and again when the last names have just come back.
        if (messages === 2 || messages === 5) lose()
      },
    })
    await eventually(() => expect(again.stats()).toMatchObject({ names: 300, rebuilding: false }))
    await again.ready()
    for (const index of [0, 150, 299]) expect(await textOf(again, `n${index}`)).toBe(`text ${index}`)
    await again.close()
    expect(differences(directory)).toEqual([])
  })

  test('an index entry that lacks a fact is passed over, and so is a folder that cannot be read', async () => {
    const directory = await temporaryFolder()
    const first = await open(directory)
    for (const name of ['a', 'b', 'c']) await first.write(entry(name), Buffer.from(name))
    await first.close()
    const bytes = bytesIn(directory)
    const found = await bytes.find('b', 0)
    const { width: _width, ...rest } = found?.entry ?? entry('b')
    await bytes.list({ ...rest, key: 'b' } as unknown as Entry, 5, 0)
    rmSync(bytes.bucketPath('c', 0))
    mkdirSync(dirname(bytes.bucketPath('c', 0)), { recursive: true })
    symlinkSync(bytes.bucketPath('c', 0), bytes.bucketPath('c', 0))
    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(directory, `catalogue-v2.sqlite${suffix}`), { force: true })
    const again = await open(directory)
    await again.ready()
    expect(await textOf(again, 'a')).toBe('a')
    expect(again.find('b')).toBeUndefined()
    expect(again.stats()).toMatchObject({ names: 1, rebuilding: false })
    await again.write(entry('b'), Buffer.from('b'))
    expect(await textOf(again, 'b')).toBe('b')
  })

  test.each(['totals', 'changes', 'leases', 'changing', 'names'])(
    'a damaged page of %s costs a rebuild, not the start',
    async (table) => {
      const directory = await temporaryFolder()
      const first = await open(directory)
      for (let index = 0; index < 60; index += 1)
        await first.write(entry(`n${index}`), Buffer.from(`text ${index}`))
      await first.close()
      const file = join(directory, 'catalogue-v2.sqlite')
      const db = keep(new Database(file))
      const page = keep(
        db.prepare<[string], { rootpage: number }>('SELECT rootpage FROM sqlite_schema WHERE name = ?'),
      )
      const root = page.get(table)?.rootpage ?? 0
      db.close()
      const handle = openSync(file, 'r+')
      writeSync(handle, Buffer.alloc(4096, 0xff), 0, 4096, (root - 1) * 4096)
      closeSync(handle)
      const again = await open(directory)
      await again.ready()
      expect(await textOf(again, 'n7')).toBe('text 7')
      expect(again.stats()).toMatchObject({ names: 60, rebuilding: false })
      expect(differences(directory)).toEqual([])
    },
  )
})

describe('a lost catalogue', () => {
  const loseIt = (directory: string): void => {
    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(directory, `catalogue-v2.sqlite${suffix}`), { force: true })
  }

  test('look-ups fall through to cacache while it is read back', async () => {
    const directory = await temporaryFolder()
    const first = await open(directory)
    for (let index = 0; index < 300; index += 1)
      await first.write(entry(`n${index}`, { etag: `"${index}"` }), Buffer.from(`text ${index % 200}`))
    await first.delete('n7')
    await first.close()
    loseIt(directory)
    const again = await open(directory)
    expect(again.stats()).toMatchObject({ rebuilding: true, names: 0 })
    expect(await again.lookup('n123')).toMatchObject({ key: 'n123', etag: '"123"', isStored: true })
    expect(await textOf(again, 'n123')).toBe('text 123')
    expect(await again.lookup('n7')).toBeUndefined()
    // What is written or removed now is not undone by what is read back.
    await again.write(entry('n299'), Buffer.from('newer'))
    expect(await again.delete('n298')).toBe(true)
    expect(again.stats().rebuilding).toBe(true)
    await again.ready()
    expect(again.stats()).toMatchObject({ rebuilding: false, names: 298 })
    expect(await textOf(again, 'n299')).toBe('newer')
    expect(again.find('n298')).toBeUndefined()
    expect(differences(directory)).toEqual([])
  })

  test('what is let go of while what has no name is swept away leaves nothing behind', async () => {
    const directory = await temporaryFolder()
    const first = await open(directory)
    const names = Array.from({ length: 300 }, (_, index) => `n${index}`)
    await Promise.all(names.map((name) => first.write(entry(name), Buffer.from(`text of ${name}`))))
    await first.close()
    loseIt(directory)
    const presence = registerProcess(join(directory, 'processes-v2'))
    const bytes = bytesIn(directory, presence.id())
    const orphans = names.map((name) => bytes.contentPath(digestOf(`orphan of ${name}`)))
    for (const path of orphans) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, 'nobody’s')
    }
    const store = await open(directory)
    const until = (holds: () => boolean) =>
      vi.waitFor(() => expect(holds()).toBe(true), { timeout: 20_000, interval: 1 })
    // All names are back, and what nobody names is looked for: another process removes some meanwhile.
    await until(() => store.stats().names === names.length)
    const other = openCatalogue(join(directory, 'catalogue-v2.sqlite'), {
      unlink: bytes.unlink,
      now: () => clock.now,
    })
    const removed = names.slice(0, 100)
    for (const name of removed) {
      expect(other.drop(other.begin(name, presence.id(), undefined, 0) as KeyLock)).toBe(true)
      for (const slot of SLOTS) await bytes.unlist(name, slot)
    }
    while (orphans.every((path) => existsSync(path))) await new Promise((resolve) => setImmediate(resolve))
    expect(other.isComplete()).toBe(false)
    for (const name of removed) other.finish(name, presence.id())
    other.close()
    presence.leave()
    await store.ready()
    expect(store.stats()).toMatchObject({ rebuilding: false, names: 200 })
    expect(differences(directory)).toEqual([])
  })

  /** Moves all that is in the log into the file, so that harm to the file is harm. */
  const settleFile = (directory: string): void => {
    const db = keep(new Database(join(directory, 'catalogue-v2.sqlite')))
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    db.close()
  }
  const cut = (directory: string, length: number): void => {
    settleFile(directory)
    truncateSync(join(directory, 'catalogue-v2.sqlite'), length)
  }
  test.each([
    ['deleted', loseIt],
    [
      'replaced by nonsense',
      (directory: string) => {
        loseIt(directory)
        writeFileSync(join(directory, 'catalogue-v2.sqlite'), 'nonsense '.repeat(2000))
      },
    ],
    ['cut to nothing', (directory: string) => cut(directory, 0)],
    ['cut in half', (directory: string) => cut(directory, 40_000)],
    [
      'overwritten in its middle',
      (directory: string) => {
        settleFile(directory)
        const file = openSync(join(directory, 'catalogue-v2.sqlite'), 'r+')
        writeSync(file, Buffer.alloc(60_000, 'x'), 0, 60_000, 4096)
        closeSync(file)
      },
    ],
  ])('%s under two running stores: both find everything again', async (_how, harm) => {
    const directory = await temporaryFolder()
    const changes = { one: [] as unknown[], two: [] as unknown[] }
    const one = await open(directory, { onChange: (changed) => changes.one.push(changed) })
    const two = await open(directory, { onChange: (changed) => changes.two.push(changed) })
    for (let index = 0; index < 50; index += 1)
      await one.write(entry(`n${index}`), Buffer.from(`text ${index}`))
    harm(directory)
    for (const [store, heard] of [
      [one, changes.one],
      [two, changes.two],
    ] as const)
      await eventually(async () => {
        await store.write(entry('later'), Buffer.from('later'))
        expect(heard).toContain('all')
        for (const name of ['n0', 'n49']) expect(await store.lookup(name)).toBeDefined()
        expect(await textOf(store, 'n49')).toBe('text 49')
      })
    for (const store of [one, two]) {
      await store.ready()
      expect(store.stats()).toMatchObject({ names: 51, rebuilding: false })
    }
    await one.close()
    await two.close()
    expect(differences(directory)).toEqual([])
  })

  test('/ready says that it is being rebuilt, pictures are answered meanwhile, and 200 stays 200', async () => {
    const directory = await temporaryFolder()
    const origin = await anOrigin()
    origin.serve('/t/p/w342/abc.jpg', image(await jpeg(40, 60)))
    const first = await startApp({}, { directory, origin })
    expect((await first.get('/images/poster/w342/abc.jpg')).status).toBe(200)
    const picture = await jpeg(20, 30)
    for (let from = 0; from < 200; from += 20)
      await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          first.artwork.images.put(
            `poster/w342/n${from + index}.jpg`,
            Buffer.concat([picture, Buffer.from([from + index])]),
          ),
        ),
      )
    await first.stop()
    loseIt(directory)
    const again = await startApp({}, { directory, origin })
    const { url } = await listen(express().use(again.artwork.healthRouter))
    const ready = async () => (await fetch(`${url}/ready`)).json()
    expect(await ready()).toEqual({
      status: 'degraded',
      reasons: ['the catalogue was lost and is being rebuilt'],
    })
    const answer = await again.get('/images/poster/w342/abc.jpg')
    expect(answer.status).toBe(200)
    expect(origin.hits('/t/p/w342/abc.jpg')).toBe(1)
    await eventually(async () => expect(await ready()).toEqual({ status: 'ready', reasons: [] }))
    await again.stop()
    const closing = await fetch(`${url}/ready`)
    expect([closing.status, (await closing.json()).status]).toEqual([503, 'closing'])
    expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: 'ok' })
    expect((await fetch(`${url}/health`, { method: 'POST' })).status).toBe(405)
    expect((await fetch(`${url}/healthy`)).status).toBe(404)
  })
})

describe('several processes on a directory', () => {
  test('what one fetches and makes, another waits for instead of doing it again', async () => {
    const directory = await temporaryFolder()
    const origin = await anOrigin()
    const picture = await jpeg(400, 600)
    origin.serve('/t/p/w500/abc.jpg', (_req, res) => {
      setTimeout(() => res.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(picture), 300)
    })
    const apps = await Promise.all([1, 2, 3].map(() => startApp({}, { directory, origin })))
    const answers = await Promise.all(
      apps.flatMap((app) => [1, 2].map(() => app.get('/images/poster/w500/abc.jpg'))),
    )
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200, 200, 200, 200])
    expect(origin.hits('/t/p/w500/abc.jpg')).toBe(1)
  })

  test('a failure that one has learned is not asked for again by another that waited for it', async () => {
    const directory = await temporaryFolder()
    const origin = await anOrigin()
    origin.serve('/t/p/w500/none.jpg', (_req, res) => {
      setTimeout(() => res.writeHead(404).end(), 300)
    })
    const apps = await Promise.all([1, 2].map(() => startApp({}, { directory, origin })))
    const answers = await Promise.all(apps.map((app) => app.get('/images/poster/w500/none.jpg')))
    expect(answers.map((answer) => answer.status)).toEqual([404, 404])
    expect(origin.hits('/t/p/w500/none.jpg')).toBe(1)
  })

  test('what one replaces, removes or clears is soon seen by another’s memory', async () => {
    const directory = await temporaryFolder()
    const origin = await anOrigin()
    const [one, two] = [await startApp({}, { directory, origin }), await startApp({}, { directory, origin })]
    const size = async (app: typeof one) =>
      Number((await app.get('/images/poster/w342/x.jpg')).headers.get('content-length'))
    const [small, large] = [await jpeg(10, 10), await jpeg(200, 200)]
    await one.artwork.images.put('poster/w342/x.jpg', small)
    expect(await size(two)).toBe(small.length)
    await one.artwork.images.put('poster/w342/x.jpg', large)
    await eventually(async () => expect(await size(two)).toBe(large.length))
  })

  test('a turn is for one at a time, ends with its process, and waiting for it can be given up', async () => {
    const directory = await temporaryFolder()
    const [one, two] = [await open(directory), await open(directory)]
    const first = await one.lease('k')
    expect(first.waited).toBe(false)
    const giveUp = new AbortController()
    const second = two.lease('k', giveUp.signal)
    giveUp.abort()
    expect((await second).waited).toBe(true)
    const third = two.lease('k')
    first.release()
    expect((await third).waited).toBe(true)
    const owner = aDeadProcess(directory)
    const catalogue = openCatalogue(join(directory, 'catalogue-v2.sqlite'), {
      unlink: () => false,
      now: Date.now,
    })
    catalogue.lease('dead', owner)
    catalogue.close()
    expect((await one.lease('dead')).waited).toBe(false)
  })

  test('a process is known to be there until it leaves, and comes back when its mark was taken away', async () => {
    const folder = join(await temporaryFolder(), 'processes')
    const [one, two] = [registerProcess(folder), registerProcess(folder)]
    const was = one.id()
    expect([one.isAlive(was), two.isAlive(was), two.isAlive(randomUUID()), two.isAlive('../x')]).toEqual([
      true,
      true,
      false,
      false,
    ])
    rmSync(join(folder, was))
    expect([two.isAlive(was), one.return(), one.return()]).toEqual([false, true, false])
    expect(two.isAlive(one.id())).toBe(true)
    writeFileSync(join(folder, randomUUID()), '')
    expect([two.reap(), two.reap()]).toEqual([1, 0])
    one.leave()
    expect(two.isAlive(one.id())).toBe(false)
    two.leave()
    expect(readdirSync(folder)).toEqual([])
  })

  test('whoever comes or goes is noticed at once, also in a folder that has been as it is for long', async () => {
    const folder = join(await temporaryFolder(), 'processes')
    const one = registerProcess(folder)
    for (const age of [0, 3_600_000]) {
      const changed = new Date(Date.now() - age)
      utimesSync(folder, changed, changed)
      expect([one.isAlone(), one.isAlone()]).toEqual([true, true])
      const two = registerProcess(folder)
      // What has just changed is looked at, though its time of change is the same.
      if (age === 0) utimesSync(folder, changed, changed)
      expect([one.isAlone(), two.isAlone()]).toEqual([false, false])
      utimesSync(folder, changed, changed)
      expect([one.isAlone(), two.isAlone()]).toEqual([false, false])
      two.leave()
      expect(one.isAlone()).toBe(true)
    }
    rmSync(folder, { recursive: true })
    expect(one.isAlone()).toBe(false)
    one.return()
    expect(one.isAlone()).toBe(true)
    one.leave()
  })
})

describe('bounds', () => {
  test('300 replacements of one name leave one content and an index of constant size', async () => {
    const directory = await temporaryFolder()
    const store = await open(directory)
    await store.write(entry('a'), Buffer.from('first'))
    const { indexBytes } = store.stats()
    for (let index = 0; index < 300; index += 1) await store.write(entry('a'), Buffer.from(`bytes ${index}`))
    expect(store.stats()).toMatchObject({ names: 1, indexBytes })
    expect(differences(directory)).toEqual([])
  })

  test('the last use of a name never touches cacache', async () => {
    const directory = await temporaryFolder()
    const store = await open(directory)
    await store.write(entry('a'), Buffer.from('x'))
    const listing = () =>
      execFileSync('find', [join(directory, 'store-v2'), '-printf', '%p %T@ %C@ %s\n']).toString()
    const before = listing()
    for (let index = 0; index < 5000; index += 1) {
      clock.now += 1
      store.touch(`a${index}`)
      store.touch('a')
    }
    expect(store.lastUsed('a')).toBe(clock.now)
    await store.close()
    expect(listing()).toBe(before)
    const again = await open(directory)
    expect(again.lastUsed('a')).toBe(clock.now)
  })

  test('a used rendition keeps its original’s row, not its bytes; the row goes when the rendition does', async () => {
    const directory = await temporaryFolder()
    const store = await open(directory, { maxBytes: 10_000 })
    await store.write(entry('o'), Buffer.alloc(900, 1))
    await store.write(
      entry('r', { role: 'rendition', original: 'o', madeFrom: digestOf('o') }),
      Buffer.alloc(900, 2),
    )
    for (let index = 0; index < 30; index += 1) {
      clock.now += 1000
      store.touch('r')
      await store.write(entry(`n${index}`), Buffer.alloc(900, index + 3))
    }
    expect(store.find('o')).toMatchObject({ isStored: false })
    expect(store.find('r')).toMatchObject({ isStored: true })
    await store.delete('r')
    for (let from = 30; from < 1100; from += 50)
      await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          store.write(entry(`n${from + index}`), Buffer.from(`${from + index}`)),
        ),
      )
    expect(store.find('o')).toBeUndefined()
    expect(differences(directory)).toEqual([])
  })

  test('rows are bounded however many of them only stand for renditions', async () => {
    const directory = await temporaryFolder()
    const store = await open(directory, { maxNames: 30 })
    for (let index = 0; index < 100; index += 1) {
      clock.now += 1000
      await store.write(entry(`o${index}`), Buffer.from(`o${index}`))
      const made = { role: 'rendition' as const, original: `o${index}`, madeFrom: digestOf('o') }
      await store.write(entry(`r${index}`, made), Buffer.from(`r${index}`))
      expect(store.stats().names).toBeLessThanOrEqual(30)
    }
    expect(differences(directory)).toEqual([])
  })

  test('bounds that were lowered are kept from the next start on', async () => {
    const directory = await temporaryFolder()
    const first = await open(directory)
    await Promise.all(
      Array.from({ length: 200 }, (_, index) => first.write(entry(`n${index}`), Buffer.alloc(900, index))),
    )
    await first.close()
    const again = await open(directory, { maxBytes: 50_000, maxNames: 100 })
    await again.ready()
    expect(again.stats().bytes).toBeLessThanOrEqual(50_000)
    expect(again.stats().names).toBeLessThanOrEqual(100)
    expect(differences(directory)).toEqual([])
  })

  test('failures are bounded', async () => {
    const store = await open(await temporaryFolder())
    for (let index = 0; index < 10_300; index += 1)
      store.negativeCache.set(`f${index}`, { code: 'gone', message: '', at: 1, until: index, count: 1 })
    const known = Array.from({ length: 10_300 }, (_, index) => store.negativeCache.get(`f${index}`)).filter(
      Boolean,
    )
    expect(known.length).toBeLessThanOrEqual(10_100)
    expect(store.negativeCache.get('f10299')).toBeDefined()
  })
  test('codes that an earlier version does not know are written as those it knows, and what a later one wrote is none', async () => {
    const directory = await temporaryFolder()
    const store = await open(directory)
    const failure = { message: '', at: 1, until: 2, count: 1 }
    store.negativeCache.set('page', { ...failure, code: 'no_image' })
    store.negativeCache.set('port', { ...failure, code: 'undialable' })
    store.negativeCache.set('later', { ...failure, code: 'gone' })
    const db = keep(new Database(join(directory, 'catalogue-v2.sqlite')))
    const codes = db.prepare('SELECT name, code FROM failures ORDER BY name').all()
    expect(codes).toEqual([
      { name: 'later', code: 'gone' },
      { name: 'page', code: 'unsupported' },
      { name: 'port', code: 'refused' },
    ])
    db.prepare("UPDATE failures SET code = 'of_tomorrow' WHERE name = 'later'").run()
    db.close()
    expect(store.negativeCache.get('later')).toBeUndefined()
    expect(store.negativeCache.list('', 10).map(({ name }) => name)).toEqual(['page', 'port'])
  })
  test('a failure that one process clears is heard of by the others', async () => {
    const directory = await temporaryFolder()
    const changed: string[] = []
    const one = await open(directory)
    await open(directory, { onChange: (names) => void changed.push(...(names === 'all' ? ['all'] : names)) })
    one.negativeCache.set('a', { code: 'gone', message: '', at: 1, until: 2, count: 1 })
    one.negativeCache.clear('b')
    one.negativeCache.clear('a')
    await eventually(() => expect(changed).toContain('a'))
    expect(changed).not.toContain('b')
  })
})

describe('verify', () => {
  /** A store of 200 names and 100 contents. */
  const filled = async () => {
    const directory = await temporaryFolder()
    const changed: string[] = []
    const store = await open(directory, {
      onChange: (names) => void changed.push(...(names === 'all' ? ['all'] : names)),
    })
    for (let index = 0; index < 200; index += 1)
      await store.write(entry(`n${index}`), Buffer.from(`text ${index % 100}`))
    return { directory, store, changed, bytes: bytesIn(directory) }
  }
  const quick = { bytesPerSecond: 1e9 }

  test('a sound store is read whole and left as it is', async () => {
    const { directory, store } = await filled()
    const progress: number[] = []
    expect(await store.verify({ ...quick, onProgress: ({ checked }) => progress.push(checked) })).toEqual({
      state: 'done',
      checked: 100,
      bytes: 690,
      damaged: 0,
      unreadable: 0,
      relisted: 0,
      leftovers: 0,
      names: [],
    })
    expect(progress).toEqual([64, 100])
    expect(differences(directory)).toEqual([])
  })

  test('damaged and missing contents, missing and wrong index entries, and leftovers are reported and mended', async () => {
    const { directory, store, bytes, changed } = await filled()
    writeFileSync(bytes.contentPath(digestOf('text 5')), 'tExt 5')
    truncateSync(bytes.contentPath(digestOf('text 6')), 0)
    rmSync(bytes.contentPath(digestOf('text 7')))
    rmSync(bytes.bucketPath('n20', 0))
    writeFileSync(bytes.bucketPath('n21', 0), '\nnonsense')
    const orphan = digestOf('orphan')
    mkdirSync(dirname(bytes.contentPath(orphan)), { recursive: true })
    writeFileSync(bytes.contentPath(orphan), 'orphan')
    const report = await store.verify(quick)
    expect(report).toMatchObject({ state: 'done', damaged: 3, relisted: 2, leftovers: 1, unreadable: 0 })
    const lost = ['n105', 'n106', 'n107', 'n5', 'n6', 'n7']
    expect([...report.names].sort()).toEqual(lost)
    expect([...changed].sort()).toEqual(lost)
    for (const name of lost) expect(store.find(name)?.isStored ?? false).toBe(false)
    expect(await textOf(store, 'n20')).toBe('text 20')
    expect(differences(directory)).toEqual([])
    expect(await store.verify(quick)).toMatchObject({ damaged: 0, relisted: 0, leftovers: 0 })
  })

  test('files that cannot be files (folders, pipes, links out of the store, giants) harm nobody', async () => {
    const { directory, store, bytes } = await filled()
    const secret = join(directory, 'secret')
    writeFileSync(secret, 'text 8')
    rmSync(bytes.contentPath(digestOf('text 8')))
    symlinkSync(secret, bytes.contentPath(digestOf('text 8')))
    rmSync(bytes.contentPath(digestOf('text 9')))
    execFileSync('mkfifo', [bytes.contentPath(digestOf('text 9'))])
    truncateSync(bytes.bucketPath('n30', 0), 100_000_000)
    rmSync(bytes.bucketPath('n31', 0))
    execFileSync('mkfifo', [bytes.bucketPath('n31', 0)])
    expect(await textOf(store, 'n8')).toBeUndefined()
    expect(await textOf(store, 'n9')).toBeUndefined()
    expect(await store.verify(quick)).toMatchObject({ state: 'done', relisted: 2 })
    expect(differences(directory)).toEqual([])
    expect(existsSync(secret)).toBe(true)
    for (const name of ['n8', 'n9']) await store.write(entry(name), Buffer.from(`text ${name.slice(1)}`))
    expect([await textOf(store, 'n8'), await textOf(store, 'n9')]).toEqual(['text 8', 'text 9'])
  })

  test('it is interrupted by its signal and goes on where it was, in one process at a time', async () => {
    const { directory, store } = await filled()
    const other = await open(directory)
    const stop = new AbortController()
    const seen: unknown[] = []
    const first = await store.verify({
      ...quick,
      signal: stop.signal,
      onProgress: () => {
        void other.verify(quick).then((report) => seen.push(report.state))
        stop.abort()
      },
    })
    expect(first).toMatchObject({ state: 'stopped', checked: 64 })
    await eventually(() => expect(seen).toEqual(['elsewhere']))
    expect(await other.verify(quick)).toMatchObject({ state: 'done', checked: 36 })
    expect(await store.verify(quick)).toMatchObject({ state: 'done', checked: 100 })
  })

  test('beside writers and removers it finds nothing that is not there', async () => {
    const { store, directory } = await filled()
    let isOver = false
    const write = async (): Promise<void> => {
      for (let index = 0; !isOver; index += 1) {
        await store.write(entry(`n${index % 200}`), Buffer.from(`other ${index}`))
        await store.delete(`n${(index * 7) % 200}`)
      }
    }
    const writing = Promise.all([write(), write()])
    atEnd(() => {
      isOver = true
      return writing.catch(() => {})
    })
    expect(await store.verify(quick)).toMatchObject({
      state: 'done',
      damaged: 0,
      relisted: 0,
      leftovers: 0,
    })
    isOver = true
    await writing
    expect(differences(directory)).toEqual([])
  })

  test('artwork that was damaged is healed, and images.verify tells what was found', async () => {
    const origin = await anOrigin()
    origin.serve('/a.jpg', image(await jpeg(900, 900)))
    const app = await startApp({}, { origin })
    app.artwork.start()
    const cached = await app.artwork.images.downloadAndCache({
      sourceUrl: `${origin.url}/a.jpg`,
      entityType: 'artist',
      entityId: '7',
    })
    expect(cached).toMatchObject({ status: 'downloaded' })
    const store = join(app.directory, 'store-v2', 'content-v2')
    for (const file of readdirSync(store, { recursive: true, withFileTypes: true }))
      if (file.isFile()) writeFileSync(join(file.parentPath, file.name), 'damaged')
    expect(await app.artwork.images.verify({ bytesPerSecond: 1e9 })).toMatchObject({
      state: 'done',
      damaged: 2,
    })
    await eventually(async () => expect((await app.get('/artwork/local/artists/7/7.webp')).status).toBe(200))
  })
})

const directoryOf = (bytes: ReturnType<typeof createContents>): string =>
  join(bytes.bucketPath('x', 0), '..', '..', '..', '..')
