/** The page of the command line, from its own help. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { page } from './markdown.js'

const root = new URL('../../', import.meta.url).pathname

/** Between the texts of two commands. */
const END = '\u001e'

/** What commands print for `--help`, all from one process. */
async function help(commands: readonly (readonly string[])[]): Promise<readonly string[]> {
  const main = new URL('../../src/cli/main.ts', import.meta.url).href
  // With `--eval` arguments follow the program at once.
  const script = `for (const [index, args] of ${JSON.stringify(commands)}.entries()) {
    process.argv = [process.execPath, ...args, '--help']
    await import(${JSON.stringify(main)} + '?' + index)
    process.stdout.write(${JSON.stringify(END)})
  }`
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', script],
    { cwd: root, env: { ...process.env, COLUMNS: '100', NO_COLOR: '1' } },
  )
  return stdout.split(END).map((text) => text.trimEnd())
}

/** Makes the page. */
export async function commandLinePage(): Promise<string> {
  const [main = ''] = await help([[]])
  const commands = [...(main.split('Commands:')[1] ?? '').matchAll(/^ {2}([a-z]+)/gm)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'help')
  const texts = await help(commands.map((name) => [name]))
  return page(
    'Command line',
    'What each command prints for `--help`. [Command line](../command-line.md) has examples of their use.',
    `\`\`\`text\n${main}\n\`\`\``,
    ...commands.map((name, index) => `## ${name}\n\n\`\`\`text\n${texts[index] ?? ''}\n\`\`\``),
  )
}
