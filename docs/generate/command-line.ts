/** The page of the command line, from its own help. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { page } from './markdown.js'

const root = new URL('../../', import.meta.url).pathname

/** What a command prints for `--help`. */
async function help(...args: readonly string[]): Promise<string> {
  const command = ['--import', 'tsx', 'src/cli/main.ts', ...args, '--help']
  const { stdout } = await promisify(execFile)(process.execPath, command, {
    cwd: root,
    env: { ...process.env, COLUMNS: '100', NO_COLOR: '1' },
  })
  return stdout.replaceAll('main [', 'express-artwork [').trimEnd()
}

/** Makes the page. */
export async function commandLinePage(): Promise<string> {
  const main = await help()
  const commands = [...(main.split('Commands:')[1] ?? '').matchAll(/^ {2}([a-z]+)/gm)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'help')
  const texts = await Promise.all(commands.map((name) => help(name)))
  return page(
    'Command line',
    'What each command prints for `--help`. [Command line](../command-line.md) has examples of their use.',
    `\`\`\`text\n${main}\n\`\`\``,
    ...commands.map((name, index) => `## ${name}\n\n\`\`\`text\n${texts[index] ?? ''}\n\`\`\``),
  )
}
