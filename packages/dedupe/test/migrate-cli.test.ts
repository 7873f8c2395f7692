import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { migrate, migrationSql } from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import { migrations } from '@opsledger/dedupe/migrations'
import { catalogOf } from '@opsledger/testing'
import { useDatabase } from '@opsledger/testing/vitest'
import { describe, expect, test } from 'vitest'
import { useLedgers } from './support/ledger.ts'

const CLI = fileURLToPath(new URL('../../core/src/cli.ts', import.meta.url))
const HERE = fileURLToPath(new URL('..', import.meta.url))

const database = useDatabase()
const ledgerOf = useLedgers(database)
const clean = useDatabase()
const printed = useDatabase()

describe('the schema of this package', () => {
  test('is asked for with the command that makes it, and that command makes it', async () => {
    await migrate({ connection: database.url })
    const ledger = ledgerOf()
    createGuard(ledger)
    await expect(ledger.ready()).rejects.toThrow('Run `npx opsledger migrate --with @opsledger/dedupe`')

    const args = [
      '--conditions=opsledger-source',
      CLI,
      'migrate',
      '--with',
      '@opsledger/dedupe',
      '--url',
      database.url,
    ]
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: HERE })
    expect(stdout).toMatch(/^Schema "opsledger": applied dedupe\/0001/)
    await expect(ledger.ready()).resolves.toBeUndefined()
  })

  test('is the same by migrate(), in two steps or one, and by the printed SQL', async () => {
    await migrate({ connection: clean.url, with: [migrations] })
    const expected = await catalogOf(clean.pool())
    await migrate({ connection: database.url, with: [migrations] })
    expect(await catalogOf(database.pool())).toEqual(expected)
    await printed.pool().query(migrationSql({ with: [migrations] }))
    expect(await catalogOf(printed.pool())).toEqual(expected)
    expect((await migrate({ connection: printed.url, with: [migrations] })).applied).toEqual([])
  })
})
