/** A server as an app has it: told a config module, it mounts the toolkit on Express, starts it and says where it listens. */
import type { AddressInfo } from 'node:net'
import { pathToFileURL } from 'node:url'
import express from 'express'
import { createArtwork } from '#src/index.js'

const [config = ''] = process.argv.slice(2)
const tell = (fields: object, message: string): void =>
  console.error(message, 'err' in fields ? String(fields.err) : '')
const { default: optionsOf } = await import(pathToFileURL(config).href)
const artwork = await createArtwork({
  logger: { debug() {}, info() {}, warn: tell, error: tell },
  ...optionsOf(),
})
const app = express()
app.use(artwork.router)
artwork.start()
const server = app.listen(0, '127.0.0.1', () =>
  process.stdout.write(`serves at http://127.0.0.1:${(server.address() as AddressInfo).port}\n`),
)
process.once('SIGTERM', async () => {
  server.close()
  server.closeAllConnections()
  await artwork.close()
})
