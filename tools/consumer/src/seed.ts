import { strict as assert } from 'node:assert'
import { describeReport, ResetRefusedError, resetAndSeed, type SeedReport } from '@opsledger/seed'
import config from './seed-config.js'

/** A host that seeds its tests: by function here, by the command beside it. */
const connection = process.env.DATABASE_URL!
const report: SeedReport = await resetAndSeed({ ...config, connection })
assert.deepEqual(report.tables, [
  { name: 'app.workspaces', rows: 2 },
  { name: 'app.tenants', rows: 6 },
])
assert.ok(describeReport(report).startsWith('Reset and seeded'))
await assert.rejects(
  resetAndSeed({ ...config, connection, allow: { database: 'another' } }),
  ResetRefusedError,
)
console.log(`reset and seeded ${report.rows} rows`)
