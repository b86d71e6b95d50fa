/**
 * Adds to package-lock.json the optional platform packages that a partial registry mirror left out when the
 * lock was written: `npm ci` refuses a lock without them, on every platform. Run it after `npm install`, from
 * the folder of the lock.
 */
import { readFileSync, writeFileSync } from 'node:fs'

const file = 'package-lock.json'
const lock = JSON.parse(readFileSync(file, 'utf8'))
const SYSTEMS = [
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
]
const CPUS = ['arm64', 'arm', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64']

let added = 0
for (const [path, { optionalDependencies = {}, dev }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const words = name.split('/').at(-1).split('-')
    const os = SYSTEMS.find((system) => words.includes(system))
    const cpu = CPUS.find((processor) => words.includes(processor))
    const places = [`${path}/node_modules/${name}`, `node_modules/${name}`]
    if (os === undefined || cpu === undefined || places.some((place) => place in lock.packages)) continue
    const libc = words.includes('musl')
      ? ['musl']
      : words.includes('gnu') && os === 'linux'
        ? ['glibc']
        : undefined
    lock.packages[`node_modules/${name}`] = {
      version,
      cpu: [cpu],
      ...(dev ? { dev } : {}),
      ...(libc === undefined ? {} : { libc }),
      optional: true,
      os: [os],
    }
    added += 1
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
console.log(`${added} optional packages added`)
