/** The shared store over real servers: Ceph's gateway, which knows conditional writes, and Swift, which does not. */
import { beforeAll, describe, expect, test } from 'vitest'
import { s3 } from '#src/store/shared/s3.js'
import { objectStoreContract } from '../contracts/object-store.js'
import { type Bucket, startCeph, startSwift } from './engines.js'

describe.each([
  ['Ceph', startCeph, true],
  ['Swift', startSwift, false],
] as const)('%s', (name, start, isConditional) => {
  let bucket: Bucket
  beforeAll(async () => {
    bucket = await start()
  })
  objectStoreContract(name, async () => s3({ ...bucket.options, timeout: 20_000 }).open(), { isConditional })
  test('rules of expiry are set, beside those of others', async () => {
    const store = await s3({ ...bucket.options, timeout: 20_000 }).open()
    const setting = store.setExpiry([{ id: 'ours', prefix: 'site/cache/', days: 30 }])
    if (name === 'Ceph') await setting
    // Swift has none.
    else await expect(setting).rejects.toThrow()
  })
})
