import { expect, test } from 'vitest'
import { eventually, waitUntilBlocked } from '../src/index.ts'
import { useDatabase } from '../src/vitest/index.ts'

const database = useDatabase()

test('waiting for a blocked backend forces the order of a race', async () => {
  const holder = await database.pool().connect()
  const contender = database.pool({ max: 1, application_name: 'contender' })
  try {
    await holder.query('select pg_advisory_lock(1)')
    const waiting = contender.query('select pg_advisory_lock(1)')
    const [blocked] = await waitUntilBlocked(database.pool(), { applicationName: 'contender' })
    const { rows } = await holder.query('select pg_backend_pid() as pid')
    expect(blocked).toMatchObject({ blockedBy: [rows[0].pid], waitEvent: 'Lock/advisory' })
    await holder.query('select pg_advisory_unlock(1)')
    await waiting
  } finally {
    holder.release()
  }
})

test('nobody blocked is an error that lists what went on', async () => {
  const idle = database.pool({ max: 1, application_name: 'bystander' })
  await idle.query('select 42')
  await expect(waitUntilBlocked(database.pool(), { withinMs: 100 })).rejects.toThrow(
    /bystander idle .*select 42/,
  )
})

test('eventually gives the first good value, or the last error', async () => {
  let calls = 0
  const third = () => {
    calls += 1
    if (calls < 3) throw new Error(`call ${calls}`)
    return calls
  }
  expect(await eventually(third)).toBe(3)
  const never = () => Promise.reject(new Error('not yet'))
  await expect(eventually(never, { withinMs: 30 })).rejects.toThrow('Still not so after 30 ms: not yet')
})
