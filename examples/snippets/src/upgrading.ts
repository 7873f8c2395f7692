// biome-ignore-all assist/source/organizeImports: the snippet begins with its own
import { strict as assert } from 'node:assert'

// #region migrate
import { migrate } from '@opsledger/core'
import { migrations } from '@opsledger/dedupe/migrations'

const { applied } = await migrate({ connection: process.env.DATABASE_URL, with: [migrations] })
console.log(applied.length === 0 ? 'nothing to do' : `applied ${applied.join(', ')}`)
// #endregion

const again = await migrate({ connection: process.env.DATABASE_URL, with: [migrations] })
assert.deepEqual(again.applied, [])
