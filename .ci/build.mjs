/**
 * Builds the package. Each file costs a start a third of a millisecond, so the code is bundled into few, with what is loaded
 * when it is used (`import()`) in files of its own; zod, which every start needs and whose hundred files are as many, is
 * in them, and not installed. The declarations are one file, of what is public.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { rollup } from 'rollup'
import { dts } from 'rollup-plugin-dts'

const folder = 'dist'
rmSync(folder, { recursive: true, force: true })
// Also `require.cjs`, and what cannot be compiled is seen.
execFileSync('npx', ['tsc', '-p', 'src'], { stdio: 'inherit' })

const declarations = await rollup({
  input: join(folder, 'index.d.ts'),
  plugins: [dts()],
  external: (id) => !/^[./]/.test(id),
})
for (const entry of readdirSync(folder))
  if (entry !== 'require.cjs') rmSync(join(folder, entry), { recursive: true })
await declarations.write({ file: join(folder, 'index.d.ts'), format: 'es' })

const common = {
  outbase: 'src',
  outdir: folder,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  packages: 'external',
  // The one package that is bundled.
  alias: { zod: './node_modules/zod/index.js' },
}
// Shared code lies beside `index.js`, one folder below the package: `package-files.ts` counts on that.
const entryPoints = ['src/index.ts', 'src/cli/main.ts', 'src/cli/doctor/examiner.ts']
await build({ ...common, entryPoints, splitting: true })
// A decoder may read nothing but what it needs: it is one file.
await build({ ...common, entryPoints: ['src/transform/worker.ts'] })
copyFileSync('node_modules/zod/LICENSE', join(folder, 'LICENSE.zod'))
writeFileSync(join(folder, 'package.json'), '{"type":"module"}\n')
