/** A real PostgreSQL server of the test's own: a fresh cluster in a temporary folder, reached by a socket in there. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/** A running server. */
export interface PostgresServer {
  /** A pool on a database of its own, new and empty. */
  freshPool(): Promise<pg.Pool>
  /** Kills it, as a crash would: nothing is said to clients, nothing is written. */
  kill(): Promise<void>
  /** Starts it again after `kill`, and waits until it answers. */
  start(): Promise<void>
  /** Ends it and removes its folder. */
  remove(): Promise<void>
}

const DEBIAN = '/usr/lib/postgresql'

/** Where PostgreSQL's programs may be: on the PATH, and where Debian has them, the newest first. */
function places(): string[] {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : []
  const onPath = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return [...versions.map((version) => join(DEBIAN, version, 'bin')), ...onPath]
}

/** The folder that has both programs. @throws Error that says how to get them */
export function programs(folders: readonly string[] = places()): { initdb: string; postgres: string } {
  for (const folder of folders) {
    const [initdb, postgres] = [join(folder, 'initdb'), join(folder, 'postgres')]
    if (existsSync(initdb) && existsSync(postgres)) return { initdb, postgres }
  }
  throw new Error(
    'These tests need a PostgreSQL server, and none is here: run `apt-get install -y postgresql`.',
  )
}

/** PostgreSQL does not run as root: who runs it instead. */
function otherUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (const user of ['postgres', 'nobody'])
    try {
      const id = (which: string) => Number(execFileSync('id', [which, user], { stdio: 'pipe' }).toString())
      return { uid: id('-u'), gid: id('-g') }
    } catch {
      // There is no such user.
    }
  throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody.')
}

/** Makes a cluster and starts it. */
export async function startPostgres(): Promise<PostgresServer> {
  const { initdb, postgres } = programs()
  const user = otherUser()
  const folder = mkdtempSync(join(tmpdir(), 'artwork-pg-'))
  const removeFolder = () => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  if (user !== undefined) chownSync(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  const connection = { host: folder, user: 'artwork', connectionTimeoutMillis: 30_000 }
  let server: { readonly child: ChildProcess; readonly gone: Promise<unknown> } | undefined
  let said = ''
  let databases = 0

  const run = (file: string, args: readonly string[]) => {
    const child = spawn(file, args, { ...user, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    const listen = (piece: Buffer): void => {
      said += piece
    }
    child.stdout.on('data', listen)
    child.stderr.on('data', listen)
    // `close`, not `exit`: when its output is closed, those that it started are gone too.
    const gone = new Promise<unknown>((resolve, reject) => child.once('close', resolve).once('error', reject))
    gone.catch(() => {})
    return { child, gone }
  }
  const query = async (text: string): Promise<void> => {
    const client = new pg.Client({ ...connection, database: 'postgres' })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query(text)
    } finally {
      await client.end().catch(() => {})
    }
  }
  const start = async (): Promise<void> => {
    const args = ['-D', data, '-k', folder, '-c', 'listen_addresses=', '-c', 'fsync=off']
    for (let attempt = 0; ; attempt += 1) {
      const ended = server !== undefined && (server.child.exitCode ?? server.child.signalCode) !== null
      if (server === undefined || ended) server = run(postgres, args)
      const answers = await query('SELECT 1').then(
        () => true,
        () => false,
      )
      if (answers) return
      if (attempt > 300) throw new Error(`PostgreSQL did not start: ${said}`)
      await sleep(100)
    }
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    server?.child.kill(signal)
    await server?.gone
    server = undefined
  }
  const lastResort = (): void => {
    server?.child.kill('SIGQUIT')
    removeFolder()
  }
  const remove = async (): Promise<void> => {
    process.off('exit', lastResort)
    // At once, and its own processes with it.
    await end('SIGQUIT')
    removeFolder()
  }
  process.on('exit', lastResort)
  try {
    const made = run(initdb, ['-D', data, '-U', 'artwork', '-A', 'trust', '-E', 'UTF8', '--no-locale', '-N'])
    if ((await made.gone) !== 0) throw new Error(`initdb failed: ${said}`)
    await start()
  } catch (error) {
    await remove()
    throw error
  }
  return {
    freshPool: async () => {
      databases += 1
      const database = `test_${databases}`
      await query(`CREATE DATABASE ${database}`)
      return new pg.Pool({ ...connection, database, max: 4, idleTimeoutMillis: 0 })
    },
    kill: () => end('SIGKILL'),
    start,
    remove,
  }
}
