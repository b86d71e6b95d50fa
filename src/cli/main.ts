#!/usr/bin/env node
/** The command line: a user of the toolkit like any other. */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { serve } from './serve.js'

const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
const version =
  typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : '0'

const program = new Command('express-artwork')
  .description('Images for server-rendered Express apps: as a service, and at the command line.')
  .version(version)
  .showHelpAfterError()

program
  .command('serve')
  .description('Run hosting, fetching, health and metrics as a service, from environment variables')
  .option('--env-file <file>', 'file of variables; the environment itself counts more')
  .option('--port <number>', 'port to listen at (PORT, 3000)')
  .option('--host <address>', 'address to listen at (HOST, 0.0.0.0)')
  .addHelpText(
    'after',
    '\nExamples:\n  $ express-artwork serve --env-file .env\n  $ ARTWORK_UPLOAD_TOKEN=… PORT=8080 express-artwork serve',
  )
  .action((options: { envFile?: string; port?: string; host?: string }) => serve(options))

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`express-artwork: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
