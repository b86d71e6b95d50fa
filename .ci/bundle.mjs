/**
 * Bundles the code into a folder, with what is loaded when it is used (`import()`) in files of its own; zod, which every start
 * needs and whose hundred files are as many, is in them, and not installed. The build does it into `dist`; tests that start
 * processes into a folder of theirs: `node .ci/bundle.mjs FOLDER SCRIPT…`, with scripts of theirs under their names.
 */
import { writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const ENTRIES = ['index', 'cli/main', 'cli/doctor/examiner']

/** Bundles. @param scripts others that share the code, each for a file of its name */
export async function bundle(outdir, scripts = []) {
  const common = {
    outdir,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    packages: 'external',
    // The one package that is bundled; scripts that import the toolkit share its code.
    alias: { zod: './node_modules/zod/index.js', 'express-artwork': './src/index.ts' },
  }
  // Shared code lies beside `index.js`, one folder below the package: `package-files.ts` counts on that.
  const entryPoints = [
    ...ENTRIES.map((name) => ({ in: `src/${name}.ts`, out: name })),
    ...scripts.map((script) => ({ in: script, out: basename(script, '.ts') })),
  ]
  await build({ ...common, entryPoints, splitting: true })
  // A decoder may read nothing but what it needs: it is one file.
  await build({ ...common, entryPoints: [{ in: 'src/transform/worker.ts', out: 'transform/worker' }] })
  writeFileSync(join(outdir, 'package.json'), '{"type":"module"}\n')
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url))
  await bundle(process.argv[2], process.argv.slice(3))
