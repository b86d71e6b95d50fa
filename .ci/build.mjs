/**
 * Builds the package. Each file costs a start a third of a millisecond, so the code is bundled into few. The declarations are
 * one file, of what is public.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { rollup } from 'rollup'
import { dts } from 'rollup-plugin-dts'
import { bundle } from './bundle.mjs'

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

await bundle(folder)
copyFileSync('node_modules/zod/LICENSE', join(folder, 'LICENSE.zod'))
