/**
 * What an install brings: packages and megabytes of the packed tarball in an empty folder beside Express and Nunjucks, and
 * those of the peers from their lock files. Express and Nunjucks themselves are not counted, nor are the peers' fixtures.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Megabytes of the files of a folder. */
async function megabytes(folder: string): Promise<number> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true })
  const sizes = await Promise.all(
    files
      .filter((file) => file.isFile())
      .map(async (file) => (await stat(join(file.parentPath, file.name))).size),
  )
  return sizes.reduce((sum, size) => sum + size, 0) / 1e6
}

/** Installs packages in an empty folder, without their scripts. */
async function installed(
  packages: readonly string[],
): Promise<{ packages: number; mb: number; warned: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'artwork-bench-'))
  try {
    await writeFile(join(folder, 'package.json'), '{ "name": "stranger", "private": true }')
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...packages]
    const { stderr } = await run('npm', args, { cwd: folder })
    const lock: { packages: Readonly<Record<string, unknown>> } = JSON.parse(
      await readFile(join(folder, 'node_modules', '.package-lock.json'), 'utf8'),
    )
    return {
      packages: Object.keys(lock.packages).length,
      mb: await megabytes(join(folder, 'node_modules')),
      warned: stderr.trim(),
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const versionOf = async (peer: string): Promise<string> => {
  const manifest = await readFile(join(ROOT, 'test', 'bench', 'peers', peer, 'package.json'), 'utf8')
  const { dependencies }: { dependencies: Readonly<Record<string, string>> } = JSON.parse(manifest)
  const name = Object.keys(dependencies).find((one) => one === peer || one.endsWith(`/${peer}`)) ?? peer
  return `${name}@${dependencies[name]}`
}

/** Prints a line for each. */
export async function benchInstall(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'artwork-bench-'))
  try {
    const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: ROOT })
    const tarball = join(folder, stdout.trim().split('\n').at(-1) ?? '')
    const beside = await installed(['express', 'nunjucks'])
    const ours = await installed([tarball, 'express', 'nunjucks'])
    console.log(
      `install: express-artwork beside Express and Nunjucks: ${ours.packages - beside.packages} packages, ${(ours.mb - beside.mb).toFixed(0)} MB before anything is compiled${ours.warned === '' ? '' : `; npm warned: ${ours.warned}`}`,
    )
    for (const peer of ['ipx', 'next', 'eleventy-img']) {
      const { packages, mb } = await installed([await versionOf(peer)])
      console.log(`install: ${peer}: ${packages} packages, ${mb.toFixed(0)} MB`)
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
