import { InvalidOptionError, jobIdentity, type Scope } from '@opsledger/core'
import { describe, expect, test } from 'vitest'
import { delivery, useCoreDatabase, useLedgers } from './support/ledger.ts'

const database = useCoreDatabase()
const ledgerOf = useLedgers(database)

/** A payload as a queue delivers it: JSON, whatever its type says. */
interface Job {
  readonly workspaceId: string
  readonly tenantId: string
}

const operationOf = (scope: (job: Job) => Scope) =>
  ledgerOf().operation({ type: 'a.b', scope, fingerprint: () => 'f', handler: () => 'done' })

const rowsWritten = async () => (await database.pool().query('select from opsledger.operation_run')).rowCount

describe('a payload that lost its tenant', () => {
  const lost = [{ workspaceId: 'w' }, { workspaceId: 'w', tenant: 't2' }] as unknown as Job[]

  test('is refused, at dispatch and at delivery, instead of becoming one work of the workspace', async () => {
    const operation = operationOf(({ workspaceId, tenantId }) => ({ workspaceId, tenantId }))
    for (const job of lost) {
      for (const ask of [() => operation.open(job), () => operation(job, delivery('d1'))]) {
        await expect(ask()).rejects.toThrow(
          /^scope\.tenantId is undefined; allowed: the id of a tenant; null, or no such key, for the workspace's own work$/,
        )
      }
      expect(() => operation.identify(job)).toThrow(InvalidOptionError)
    }
    expect(await rowsWritten()).toBe(0)
  })

  test('is refused by an identity made by hand as well: a digest would take it', () => {
    const scope = { workspaceId: 'w', tenantId: undefined as never }
    expect(() => jobIdentity({ scope, type: 'a.b', fingerprint: 'f' })).toThrow(
      /^scope\.tenantId is undefined/,
    )
  })

  test.each([
    ['tenantid', 'did you mean tenantId?'],
    ['tenantID', 'did you mean tenantId?'],
    ['tenant', 'did you mean tenantId?'],
    ['tenant_id', 'did you mean tenantId?'],
  ])('to a misspelt key %s is refused', async (key, hint) => {
    const operation = operationOf(({ workspaceId }) => ({ workspaceId, [key]: 't1' }))
    await expect(operation.open({ workspaceId: 'w', tenantId: 't1' })).rejects.toThrow(
      `scope.${key} is not a key of a scope; ${hint}`,
    )
    expect(await rowsWritten()).toBe(0)
  })
})

test('a payload may be its own scope: what else is in it is let be', async () => {
  const job = { workspaceId: 'own', tenantId: 't', tenant: { name: 'T' }, workspace: 'W', policyId: 7 }
  const { run } = await operationOf((payload) => payload as Job).open(job as Job)
  expect(run.scope).toEqual({ workspaceId: 'own', tenantId: 't' })
})

test('without the key, or with null, it is the work of the workspace, and one work', async () => {
  const absent = await operationOf(({ workspaceId }) => ({ workspaceId })).open({
    workspaceId: 'own',
    tenantId: 't',
  })
  const nothing = await operationOf(({ workspaceId }) => ({ workspaceId, tenantId: null })).open({
    workspaceId: 'own',
    tenantId: 't',
  })
  expect(absent.run.scope).toEqual({ workspaceId: 'own', tenantId: null })
  expect(nothing).toMatchObject({ state: 'already_open', run: { id: absent.run.id } })
})
