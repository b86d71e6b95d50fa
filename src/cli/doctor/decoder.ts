/** The decoders: one is started as the app starts it, and decodes a tiny picture. */
import { effortIn, qualityFor } from '../../model/encoding.js'
import type { Format } from '../../model/media-type.js'
import type { Settings } from '../../options/settings.js'
import type { SharpBuild } from '../../transform/sharp-build.js'
import type { Transformer } from '../../transform/transformer.js'
import { type Finding, findings, reasonOf } from './finding.js'
import { LEAST_DECODER } from './mistakes.js'
import type { Subject } from './subject.js'

/** Decodes, and makes each format. @throws ArtworkError */
async function decodeOne(
  transformer: Transformer,
  { transform }: Settings,
  build: SharpBuild,
  formats: readonly Format[],
): Promise<void> {
  for (const format of formats) {
    const bytes = await build.sample(format)
    await transformer.inspect(bytes, format)
    const recipe = {
      ...({ width: 4, fit: 'inside', enlarge: false, format } as const),
      quality: qualityFor(transform, format),
      effort: effortIn(transform, format),
    }
    await transformer.transform(bytes, format, recipe)
  }
}

/** What a transformer logs, as text. */
function listener() {
  const lines: { readonly level: 'warning' | 'error'; readonly text: string }[] = []
  const note = (level: 'warning' | 'error') => (fields: object, message: string) => {
    const cause = 'err' in fields ? `: ${reasonOf(fields.err)}` : ''
    lines.push({ level, text: message.replace(/^artwork: /, '') + cause })
  }
  return { lines, logger: { debug() {}, info() {}, warn: note('warning'), error: note('error') } }
}

function remedyOf(text: string, { transform }: Settings): string {
  if (/script of the decoder is missing/.test(text))
    return 'leave express-artwork out of the bundle, or set transform.isolate: false'
  if (transform.sandbox.length > 0)
    return 'try the command of transform.sandbox by hand in front of node, and correct or leave it out'
  if (/too much memory/.test(text))
    return 'set transform.maxMemory to 128 MiB or more (768 MiB is the default)'
  return 'allow the app to start processes, with room for files in the temporary folder; or set transform.isolate: false'
}

/** Starts a decoder and has it decode. */
export async function decoderFindings({ settings }: Subject, build: SharpBuild): Promise<readonly Finding[]> {
  const { ok, warning, error } = findings('decoder')
  const { transform } = settings
  const { lines, logger } = listener()
  const formats = transform.formats.filter(build.has)
  // That the bound itself is too low is found of the options, whether or not this picture is done before it counts.
  const maxMemory = Math.max(transform.maxMemory, LEAST_DECODER)
  const options = { ...transform, maxMemory, concurrency: 1, logger }
  const transformer = transform.isolate
    ? (await import('../../transform/worker-pool.js')).createWorkerPool(options)
    : (await import('../../transform/in-process.js')).createInProcess(options)
  try {
    await decodeOne(transformer, settings, build, formats)
  } catch (thrown) {
    const text = lines.find(({ level }) => level === 'error')?.text ?? reasonOf(thrown)
    return [error(`no picture can be decoded: ${text}`, remedyOf(text, settings))]
  } finally {
    await transformer.close()
  }
  const odd = lines.find(({ level }) => level === 'warning')
  if (odd !== undefined)
    return [
      warning(
        odd.text,
        'install the packages in one node_modules of this system, so that decoders can be confined to them',
      ),
    ]
  const where = transform.isolate
    ? `in a process of its own${transform.sandbox.length > 0 ? ' behind transform.sandbox' : ''}`
    : 'in the process of the app'
  return [ok(`decodes ${formats.join(', ')} ${where}`)]
}
