/** What the toolkit is built on: Node, Express, the database driver, sharp, and the packages of sources. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Format } from '../../model/media-type.js'
import { readManifest } from '../../package-files.js'
import type { SharpBuild } from '../../transform/sharp-build.js'
import type { Examination } from './examination.js'
import { type Finding, findings, reasonOf } from './finding.js'
import type { Subject } from './subject.js'

const DRIVER_WITHIN = 15_000

const numbersOf = (version: string): readonly number[] =>
  version.split('.').map((part) => Number.parseInt(part, 10))

/** Whether a version is a least one or later. */
function isAtLeast(version: string, least: string): boolean {
  const [own, wanted] = [numbersOf(version), numbersOf(least)]
  for (const [index, number] of wanted.entries()) {
    const other = own[index] ?? 0
    if (other !== number) return other > number
  }
  return true
}

/** What package.json says. */
function manifestFields(): { readonly node: string; readonly express: string } {
  const {
    engines,
    peerDependencies,
  }: { engines?: { node?: string }; peerDependencies?: { express?: string } } = readManifest() ?? {}
  return { node: engines?.node ?? '', express: peerDependencies?.express ?? '' }
}

/** Node against `engines`. */
export function nodeFindings({ machine }: Subject): readonly Finding[] {
  const { ok, error } = findings('node')
  const { node } = manifestFields()
  const [, least = '0'] = /^>=\s*([\d.]+)$/.exec(node) ?? []
  return isAtLeast(machine.nodeVersion, least)
    ? [ok(`${machine.nodeVersion}, ${node} is needed`)]
    : [
        error(
          `Node ${machine.nodeVersion} is too old: engines of package.json says ${node}`,
          `install Node ${least} or later`,
        ),
      ]
}

/** Express, which an app installs itself. @param resolvePackage finds the manifest of a package */
export function expressFindings(
  resolvePackage: (name: string) => string = (name) =>
    createRequire(import.meta.url).resolve(`${name}/package.json`),
): readonly Finding[] {
  const { ok, error } = findings('express')
  const { express } = manifestFields()
  let version = ''
  try {
    const manifest: { version?: unknown } = JSON.parse(readFileSync(resolvePackage('express'), 'utf8'))
    version = String(manifest.version)
  } catch (thrown) {
    return [error(`express is not found: ${reasonOf(thrown).split('\n')[0]}`, 'npm install express')]
  }
  const isFine = express.split('||').some((range) => {
    const least = range.trim().replace(/^\^/, '')
    return numbersOf(version)[0] === numbersOf(least)[0] && isAtLeast(version, least)
  })
  return isFine
    ? [ok(version)]
    : [error(`express ${version} is installed, and ${express} is needed`, 'npm install express@5')]
}

/** The driver of the databases, in a process of its own. */
export async function driverFindings(examination: Pick<Examination, 'ask'>): Promise<readonly Finding[]> {
  const { ok, error } = findings('better-sqlite3')
  try {
    return [ok(`loads, with SQLite ${await examination.ask('driver', {}, DRIVER_WITHIN)}`)]
  } catch (thrown) {
    return [
      error(
        `better-sqlite3 does not load: ${reasonOf(thrown)}`,
        'npm rebuild better-sqlite3 with the Node that runs the app (install scripts must be allowed for it)',
      ),
    ]
  }
}

/** sharp, and whether it has the formats that the options ask for. */
export function sharpFindings({ settings }: Subject, build: SharpBuild | Error): readonly Finding[] {
  const { ok, error } = findings('sharp')
  if (build instanceof Error)
    return [
      error(
        `sharp does not load: ${reasonOf(build)}`,
        'npm install --include=optional sharp, on the system and processor that run the app',
      ),
    ]
  const missing = settings.transform.formats.filter((format: Format) => !build.has(format))
  return missing.length === 0
    ? [ok(`${build.version} with libvips ${build.vips}, has ${settings.transform.formats.join(', ')}`)]
    : [
        error(
          `this build of sharp cannot read and write ${missing.join(', ')}, which transform.formats lists`,
          `take ${missing.join(', ')} out of transform.formats, or install sharp with its own libvips (npm install --include=optional sharp)`,
        ),
      ]
}

/** Packages and whatever else sources load before they are asked anything. */
export async function packageFindings({ settings }: Subject): Promise<readonly Finding[]> {
  const { ok, error } = findings('packages')
  const found: Finding[] = []
  for (const { name, prepare } of settings.sources)
    try {
      await prepare?.()
    } catch (thrown) {
      const [, command] = /: (npm install \S+)$/.exec(reasonOf(thrown)) ?? []
      found.push(
        error(
          reasonOf(thrown).replace(/: npm install \S+$/, ''),
          command ?? `correct the source ${name}: the app does not start with it`,
        ),
      )
    }
  return found.length > 0 ? found : [ok('sources have what they need')]
}
