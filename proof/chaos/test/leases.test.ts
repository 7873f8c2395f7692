import { migrate } from '@opsledger/core'
import { nanos } from '@opsledger/testing'
import { useDatabase } from '@opsledger/testing/vitest'
import { beforeEach, expect, test } from 'vitest'
import { leasesTakenTooEarly, leasesTooShort } from '../src/arena/leases.ts'
import { readRetiredLeases } from '../src/arena/ledger-picture.ts'

const LEASE_MS = 600_000

const database = useDatabase({
  template: 'chaos-leases',
  prepare: async (url) => {
    await migrate({ connection: url })
  },
})
beforeEach(() => database.pool().query('truncate opsledger.worker_lease cascade'))

/** A lease that runs out in so many ms from now, of a worker that began an hour ago. */
async function lease(
  pid: number,
  endsInMs: number,
  retired: 'living' | 'when it ran out' | 'a moment before',
) {
  const retiredAt = {
    living: 'null',
    'when it ran out': 'at',
    'a moment before': `at - interval '1 millisecond'`,
  }[retired]
  await database.pool().query(
    `insert into opsledger.worker_lease (id, host, pid, started_at, expires_at, retired_at)
     select gen_random_uuid(), 'h', $1, at - interval '1 hour', at, ${retiredAt}
     from (select clock_timestamp() + $2 * interval '1 millisecond' as at offset 0) as t`,
    [pid, endsInMs],
  )
}

test('a lease that was retired before it had run out is told', async () => {
  await lease(1, 0, 'living')
  await lease(2, 0, 'when it ran out')
  expect(await leasesTakenTooEarly(database.pool())).toEqual([])
  await lease(3, 0, 'a moment before')
  expect(await leasesTakenTooEarly(database.pool())).toMatchObject([
    expect.stringMatching(/00:00:00\.001 before/),
  ])
})

test('leases that reach less far ahead than they should are told, whatever retired ones say', async () => {
  expect(await leasesTooShort(database.pool(), LEASE_MS)).toEqual([])
  await lease(1, LEASE_MS * 0.5, 'living')
  await lease(2, LEASE_MS, 'when it ran out')
  expect(await leasesTooShort(database.pool(), LEASE_MS)).toMatchObject([
    expect.stringMatching(/of 600000 ms/),
  ])
  await lease(3, LEASE_MS * 0.9, 'living')
  expect(await leasesTooShort(database.pool(), LEASE_MS)).toEqual([])
})

test("when a retired lease ran out is told by the journal's clock", async () => {
  const before = nanos()
  await lease(7, -5_000, 'when it ran out')
  await lease(8, 0, 'living')
  const after = nanos()
  const [ranOut, ...others] = await readRetiredLeases(database.pool())
  expect(others).toEqual([])
  expect(ranOut).toMatchObject({ pid: 7 })
  // As exact as the look at the server's clock took.
  const slack = nanos() - after
  expect(ranOut!.expiresAt).toBeGreaterThanOrEqual(before - 5_000_000_000n - slack)
  expect(ranOut!.expiresAt).toBeLessThanOrEqual(after - 5_000_000_000n + slack)
})
