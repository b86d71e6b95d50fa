#!/usr/bin/env node
/** The command line: a user of the toolkit like any other. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { explain, failures, jobs, purge, setPaused, stats } from './commands.js'
import { runJob } from './run-job.js'
import { serve } from './serve.js'
import type { Common } from './with-artwork.js'

const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
const version =
  typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : '0'

const program = new Command('express-artwork')
  .description('Images for server-rendered Express apps: as a service, and at the command line.')
  .version(version)
  .showHelpAfterError()
  .exitOverride((error) => {
    process.exitCode = error.exitCode === 0 ? 0 : 2
    throw error
  })

const number = (text: string): number => {
  if (!/^\d+(?:\.\d+)?$/.test(text)) throw new InvalidArgumentError('must be a number')
  return Number(text)
}
const command = (name: string, description: string, examples: readonly string[]): Command =>
  program
    .command(name)
    .description(description)
    .option(
      '--config <file>',
      "module whose default export is the app's options, or a function that gives them",
    )
    .option('--env-file <file>', 'file of variables, where there is no --config')
    .option('--json', 'print JSON, a line at a time')
    .addHelpText(
      'after',
      `\nExamples:\n${examples.map((example) => `  $ express-artwork ${example}`).join('\n')}`,
    )
const ends = (code: Promise<number>): Promise<void> =>
  code.then((found) => {
    process.exitCode = found
  })

program
  .command('serve')
  .description('Run uploads, fetching, health and metrics as a service, from environment variables')
  .option('--env-file <file>', 'file of variables; the environment itself counts more')
  .option('--port <number>', 'port to listen at (PORT, 3000)')
  .option('--host <address>', 'address to listen at (HOST, 0.0.0.0)')
  .addHelpText(
    'after',
    '\nExamples:\n  $ express-artwork serve --env-file .env\n  $ ARTWORK_UPLOAD_TOKEN=… PORT=8080 express-artwork serve',
  )
  .action((options: { envFile?: string; port?: string; host?: string }) => serve(options))

command('stats', 'Print the numbers of the store and the queue', ['stats', 'stats --json']).action(
  (options: Common) => ends(stats(options)),
)
command(
  'sync [kinds...]',
  "Fetch the pictures of the repository's entities that are missing, changed, or failed and due",
  ['sync --config artwork.config.mjs', 'sync artist album --config artwork.config.mjs'],
)
  .option('--force', 'also what is stored and unchanged')
  .action((kinds: string[], { force, ...options }: Common & { force?: boolean }) =>
    ends(runJob('sync', { ...(kinds.length > 0 && { kinds }), ...(force && { force }) }, options)),
  )
command('warm <addresses...>', 'Make variants of pictures before anybody asks', [
  'warm poster/abc.jpg --variant w342-webp w780-webp',
  'warm https://cdn.example.com/abc.jpg --variant w320-webp --config artwork.config.mjs',
])
  .option('--variant <variants...>', 'variants of each; without, the addresses are whole')
  .action((addresses: string[], { variant, ...options }: Common & { variant?: string[] }) =>
    ends(runJob('warm', { addresses, ...(variant && { variants: variant }) }, options)),
  )
command('refresh', 'Ask about originals that have aged, those used most lately first', [
  'refresh --per-minute 60',
])
  .option('--per-minute <number>', 'how many at most', number)
  .action(({ perMinute, ...options }: Common & { perMinute?: number }) =>
    ends(runJob('refresh', { ...(perMinute !== undefined && { perMinute }) }, options)),
  )
command('validate [kinds...]', 'Ask whether the source URLs of entities still answer with an image', [
  'validate artist --config artwork.config.mjs',
]).action((kinds: string[], options: Common) =>
  ends(runJob('validate', { ...(kinds.length > 0 && { kinds }) }, options)),
)
command('cleanup', 'Remove what was not used for long, orphans and damaged copies', [
  'cleanup --dry-run',
  'cleanup --max-age-days 30',
])
  .option('--dry-run', 'remove nothing, and say the same')
  .option('--max-age-days <number>', 'days without use (90)', number)
  .option('--force', 'also the pictures of a kind of which no entity is left')
  .action(
    ({
      dryRun,
      maxAgeDays,
      force,
      ...options
    }: Common & { dryRun?: boolean; maxAgeDays?: number; force?: boolean }) =>
      ends(
        runJob(
          'cleanup',
          {
            ...(dryRun && { dryRun }),
            ...(force && { force }),
            ...(maxAgeDays !== undefined && { maxAgeDays }),
          },
          options,
        ),
      ),
  )
command('verify', 'Read everything that is stored against its digest, and repair what is found', [
  'verify',
]).action((options: Common) => ends(runJob('verify', {}, options)))
command('export <directory>', "Put entities' pictures below a directory as named files, for media servers", [
  'export /media/recordings --config artwork.config.mjs',
])
  .option('--overwrite', 'replace files of the same name that are not from here')
  .action((directory: string, { overwrite, ...options }: Common & { overwrite?: boolean }) =>
    ends(runJob('export', { directory: resolve(directory), ...(overwrite && { overwrite }) }, options)),
  )
command(
  'import <directory>',
  "Take entities' pictures in that are files already: an export, or what another service stored",
  ['import /media/recordings --config artwork.config.mjs'],
)
  .option('--overwrite', 'also where another picture of the entity is stored')
  .action((directory: string, { overwrite, ...options }: Common & { overwrite?: boolean }) =>
    ends(runJob('import', { directory: resolve(directory), ...(overwrite && { overwrite }) }, options)),
  )
command('failures', 'Say what could not be had, why, and when it is tried again', ['failures --json']).action(
  (options: Common) => ends(failures(options)),
)
command('jobs', 'List long jobs, the newest first', ['jobs']).action((options: Common) => ends(jobs(options)))
for (const verb of ['pause', 'resume'] as const)
  command(
    verb,
    verb === 'pause' ? 'Begin nothing new, in no process of the directory' : 'Begin new work again',
    [verb],
  ).action((options: Common) => ends(setPaused(verb === 'pause', options)))
command('explain <target>', 'Say why a picture is answered as it is', [
  'explain https://image.tmdb.org/t/p/w342/abc.jpg',
  'explain poster/w342/abc.jpg --json',
]).action((target: string, options: Common) => ends(explain(target, options)))
command('purge <target>', 'Take pictures away, by URL or address', [
  'purge https://image.tmdb.org/t/p/w342/abc.jpg',
  'purge --tag kind-poster',
  'purge --entity artist:7',
])
  .option('--tag', 'the target is a tag')
  .option('--entity', 'the target is an entity, kind:id')
  .action((target: string, options: Common & { tag?: boolean; entity?: boolean }) =>
    ends(purge(target, options)),
  )

try {
  await program.parseAsync()
} catch (error) {
  const isUsage = error instanceof Error && 'code' in error && String(error.code).startsWith('commander.')
  if (!isUsage) {
    process.stderr.write(`express-artwork: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
