import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { useLedgerDatabase } from './support/ledger.ts'

/** Every function that writes what somebody relies on later, with arguments that change nothing. */
const CALLS: readonly [name: string, call: string][] = [
  ['register_term', `register_term('${randomUUID()}', 'h', 1, 1000)`],
  ['renew_term', `renew_term('${randomUUID()}', 1000)`],
  ['retire_own_term', `retire_own_term('${randomUUID()}')`],
  ['start_runs', `start_runs('[]', '${randomUUID()}')`],
  ['settle_run_batch', `settle_run_batch('[]')`],
  ['adopt_runs', `adopt_runs('[]', '${randomUUID()}')`],
  ['sweep_runs', `sweep_runs(null, '{}', 1000, 1, null)`],
  ['lock_run', `lock_run('${randomUUID()}', 1)`],
  ['admit', `admit('[]', '${randomUUID()}', false)`],
  [
    'admit_one',
    `admit_one('${randomUUID()}', '${randomUUID()}', 'w', 't', 'x', 'd', 1, 1, null, '${randomUUID()}', false, '{}')`,
  ],
  [
    'admit_unopposed',
    `admit_unopposed('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '${randomUUID()}', false, '{}')`,
  ],
  ['settle', `settle('[]')`],
  [
    'settle_one',
    `settle_one('${randomUUID()}', '${randomUUID()}', 1, 'completed', 'succeeded', 0, 0, 0, null, null, null, 0)`,
  ],
  ['adopt', `adopt('[]', '${randomUUID()}')`],
  ['free_orphans', `free_orphans('[]', '${randomUUID()}', '[]', 1)`],
  ['sweep', `sweep(null, '{}', 1000, 1, null)`],
  ['release', `release('${randomUUID()}', '${randomUUID()}')`],
  ['lock_claim', `lock_claim('${randomUUID()}', 1, null)`],
]

describe('in a session whose commits are asynchronous', () => {
  const database = useLedgerDatabase()

  /** What the transaction is told, seen after the call and before the commit. */
  const settingsAfter = async (call: string, level = 'off') => {
    const client = await database.pool().connect()
    try {
      await client.query(`begin`)
      await client.query(`set local synchronous_commit to ${level}`)
      await client.query(`select opsledger.${call}`)
      const { rows } = await client.query(
        `select current_setting('synchronous_commit') as level,
           current_setting('idle_in_transaction_session_timeout') as gives_up_after`,
      )
      return rows[0]
    } finally {
      await client.query('rollback')
      client.release()
    }
  }

  test.each(CALLS)(
    '%s waits for the disk, and its rows do not wait for a client that is gone',
    async (_, call) => {
      expect(await settingsAfter(call)).toEqual({ level: 'local', gives_up_after: '10s' })
    },
  )

  test('a client that is gone before its commit keeps its rows for ten seconds, not until TCP gives up', async () => {
    const client = await database.pool().connect()
    const ended = new Promise<{ code?: string }>((resolve) => client.once('error', resolve))
    await client.query('begin')
    await client.query(`select opsledger.register_term('${randomUUID()}', 'h', 1, 1000)`)
    // idle_in_transaction_session_timeout
    expect(await ended).toMatchObject({ code: '25P03' })
    client.release(true)
  }, 30_000)

  test("a stronger level is the host's to choose", async () => {
    expect(await settingsAfter(`settle('[]')`, 'remote_apply')).toMatchObject({ level: 'remote_apply' })
  })
})
