/** A real PDS with a real PLC directory, on loopback ports, for the tests. Prints where they are, and runs until it is told to stop. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secp256k1Keypair } from '@atproto/crypto'
import { PDS } from '@atproto/pds'
import { Database, PlcServer } from '@did-plc/server'

const [plcPort, pdsPort] = process.argv.slice(2).map(Number)
const folder = await mkdtemp(join(tmpdir(), 'artwork-pds-'))
const plc = PlcServer.create({ db: Database.mock(), port: plcPort })
await plc.start()
const rotation = await Secp256k1Keypair.create({ exportable: true })
const recovery = await Secp256k1Keypair.create()
const pds = await PDS.fromEnv({
  devMode: true,
  port: pdsPort,
  dataDirectory: folder,
  blobstoreDiskLocation: join(folder, 'blobs'),
  didPlcUrl: `http://localhost:${plcPort}`,
  recoveryDidKey: recovery.did(),
  adminPassword: 'admin-pass',
  jwtSecret: 'a-secret-for-tests-only',
  serviceHandleDomains: ['.test'],
  plcRotationKeyK256PrivateKeyHex: Buffer.from(await rotation.export()).toString('hex'),
  inviteRequired: false,
  disableSsrfProtection: true,
})
await pds.start()
process.stdout.write('started\n')
process.on('SIGTERM', async () => {
  await pds.destroy()
  await plc.destroy()
  await rm(folder, { recursive: true, force: true })
  process.exit(0)
})
