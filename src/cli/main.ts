#!/usr/bin/env node
/**
 * The command line: a user of the toolkit like any other. What a command needs is loaded when it is run, so that `doctor`
 * can say why the rest does not load.
 */
import { Command } from 'commander'
import { JOB_KINDS } from '../model/job-kinds.js'
import { packageVersion } from '../package-files.js'
import type { DoctorOptions } from './doctor.js'
import { JOB_COMMANDS, jobPayload } from './job-commands.js'
import type { Common } from './options-of.js'

const version = packageVersion()

/** The options of every command that works on a directory. They are taken before the command, too. */
const withCommon = (command: Command): Command =>
  command
    .option(
      '--config <file>',
      "module whose default export is the app's options, or a function that gives them",
    )
    .option('--env-file <file>', 'file of variables, where there is no --config')
    .option('--json', 'print JSON, a line at a time')

const program = withCommon(new Command('express-artwork'))
  .description('Images for server-rendered Express apps: as a service, and at the command line.')
  .version(version)
  .showHelpAfterError()
  .exitOverride((error) => {
    process.exitCode = error.exitCode === 0 ? 0 : 2
    throw error
  })

const command = (name: string, description: string, examples: readonly string[]): Command =>
  withCommon(program.command(name).description(description)).addHelpText(
    'after',
    `\nExamples:\n${examples.map((example) => `  $ express-artwork ${example}`).join('\n')}`,
  )
/** What was given, wherever it stood. */
const common = (): Common => program.opts<Common>()
const commands = () => import('./commands.js')
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
  .action(async (options: { port?: string; host?: string }, own: Command) => {
    const { config, json, envFile } = common()
    const foreign = config !== undefined ? '--config' : json ? '--json' : undefined
    if (foreign !== undefined)
      own.error(`error: serve has no option '${foreign}': its options are variables of the environment`)
    return (await import('./serve.js')).serve({ ...options, envFile })
  })

command('stats', 'Print the numbers of the store and the queue', ['stats', 'stats --json']).action(() =>
  ends(import('./stats.js').then(({ stats }) => stats(common()))),
)
for (const kind of JOB_KINDS) {
  const job = JOB_COMMANDS[kind]
  const usage = job.argument === undefined ? kind : `${kind} ${job.argument}`
  const jobCommand = command(usage, job.description, job.examples)
  for (const option of job.options ?? []) jobCommand.addOption(option)
  jobCommand.action(() => {
    const payload = jobPayload(job, jobCommand.args, jobCommand.opts())
    return ends(import('./run-job.js').then(({ runJob }) => runJob(kind, payload, common())))
  })
}
command('failures', 'Say what could not be had, why, and when it is tried again', ['failures --json']).action(
  () => ends(commands().then(({ failures }) => failures(common()))),
)
command('jobs', 'List long jobs, the newest first, and when others begin by themselves', ['jobs']).action(
  () => ends(commands().then(({ jobs }) => jobs(common()))),
)
command('nodes', 'List the nodes that share the queue, each with its version and its health', [
  'nodes --config artwork.config.mjs',
]).action(() => ends(commands().then(({ nodes }) => nodes(common()))))
for (const verb of ['pause', 'resume'] as const)
  command(
    verb,
    verb === 'pause' ? 'Begin nothing new, in no process of the directory' : 'Begin new work again',
    [verb],
  ).action(() => ends(commands().then(({ setPaused }) => setPaused(verb === 'pause', common()))))
command('explain <target>', 'Say why a picture is answered as it is', [
  'explain https://image.tmdb.org/t/p/w342/abc.jpg',
  'explain poster/w342/abc.jpg --json',
]).action((target: string) => ends(commands().then(({ explain }) => explain(target, common()))))
command('purge <target>', 'Take pictures away, by URL or address', [
  'purge https://image.tmdb.org/t/p/w342/abc.jpg',
  'purge --tag kind-poster',
  'purge --entity artist:7',
])
  .option('--tag', 'the target is a tag')
  .option('--entity', 'the target is an entity, kind:id')
  .action((target: string, { tag, entity }: { tag?: boolean; entity?: boolean }) =>
    ends(commands().then(({ purge }) => purge(target, { ...common(), tag, entity }))),
  )
command('shared <what>', 'Set up, or check, the store that nodes share', [
  'shared setup --days 30 --config artwork.config.mjs',
  'shared check --config artwork.config.mjs --json',
])
  .option('--days <number>', 'setup: what is not written for as long is deleted by the store itself')
  .addHelpText(
    'after',
    '\nThe store is `shared` of the options. `check` reads all names: exit code 1 where bytes are missing or damaged.',
  )
  .action((what: string, { days }: { days?: string }) =>
    ends(commands().then(({ shared }) => shared(what, { ...common(), days }))),
  )
command(
  'doctor',
  'Look for what is wrong with the options, the directory and the machine; nothing is changed',
  ['doctor --config artwork.config.mjs', 'doctor --directory /srv/artwork --offline --json'],
)
  .option('--directory <path>', 'the directory to look at, in place of that of the options')
  .option('--offline', 'do not ask the hosts of the sources')
  .addHelpText(
    'after',
    '\nA line for each check: ok, info, warning or error.\nExit code: 0 nothing but ok and info, 1 a warning, 2 an error.',
  )
  .action((options: Pick<DoctorOptions, 'directory' | 'offline'>) =>
    ends(import('./doctor.js').then(({ doctor }) => doctor({ ...common(), ...options }))),
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
