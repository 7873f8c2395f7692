import { randomUUID } from 'node:crypto'
import {
  createLedger,
  DatabaseRefusedError,
  type Delivery,
  type LedgerOptions,
  migrate,
  type OpsLedgerError,
} from '@opsledger/core'
import { bullMqProcessor } from '@opsledger/core/bullmq'
import { eventually } from '@opsledger/testing'
import { useDatabase } from '@opsledger/testing/vitest'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
// A worker's role is granted what the guard needs too: one block of grants for both.
import { createGuard } from '../../dedupe/src/index.ts'
import { migrations } from '../../dedupe/src/migrations/index.ts'

const database = useDatabase({
  template: 'core-and-dedupe',
  prepare: async (url) => {
    await migrate({ connection: url, with: [migrations] })
  },
})

/** As docs/operating.md has them, for `worker`. */
const GRANTS = [
  ['usage', 'schema opsledger'],
  ['select, insert, update, delete', 'opsledger.operation_run, opsledger.worker_lease, opsledger.job_claim'],
  ['select', 'opsledger.core_migration, opsledger.dedupe_migration'],
  ['usage, select', 'sequence opsledger.fence'],
  ['execute', 'all functions in schema opsledger'],
] as const

const role = `worker_${randomUUID().slice(0, 8)}`
const admin = (text: string) => database.pool().query(text)
const grantAll = async (rights: readonly (readonly [string, string])[] = GRANTS) => {
  for (const [right, on] of rights) await admin(`grant ${right} on ${on} to ${role}`)
}

beforeAll(async () => {
  await admin(`create role ${role} login password 'sesame-open'`)
  // What Postgres grants to everybody is not what makes it work.
  await admin('revoke all on all functions in schema opsledger from public')
  await grantAll()
})
afterAll(async () => {
  await admin(`drop owned by ${role}`)
  await admin(`drop role ${role}`)
})

const asWorker = (options: Partial<LedgerOptions> = {}) => {
  const url = new URL(database.url)
  url.username = role
  url.password = 'sesame-open'
  return createLedger({ connection: url.href, leaseMs: 600_000, progressEveryMs: 10, ...options })
}
const workerOf = (exclusion: 'session' | 'lease', options: Partial<LedgerOptions> = {}) => {
  const ledger = asWorker(options)
  return { ledger, guard: createGuard(ledger, { exclusion }), [Symbol.asyncDispose]: () => ledger.close() }
}
type Worker = ReturnType<typeof workerOf>

interface Job {
  readonly work: string
  readonly ends?: 'in its transaction' | 'with an error'
}
const delivery = (attempt = 1): Delivery => ({ id: randomUUID(), attempt, maxAttempts: 2 })

const operationOf = ({ ledger, guard }: Worker, isGuarded = true) =>
  ledger.operation({
    type: isGuarded ? 'rights.guarded' : 'rights.recorded',
    scope: (_: Job) => ({ workspaceId: 'w', tenantId: 't' }),
    fingerprint: ({ work }) => work,
    ...(isGuarded ? { guard } : {}),
    async handler({ payload, run, counts }) {
      counts.itemSucceeded()
      if (payload.ends === 'with an error') throw new Error('no')
      if (payload.ends === 'in its transaction') await run.transaction(async () => {}, { settles: true })
    },
  })

/** What a worker does in its life, by the functions of the schema; fails if one of them does. */
async function work(worker: Worker, renewing: Worker): Promise<void> {
  const { ledger, guard } = worker
  const scope = { workspaceId: 'w', tenantId: 't' }
  for (const isGuarded of [true, false]) {
    const operation = operationOf(worker, isGuarded)
    const job = { work: randomUUID() }
    const { run } = await operation.open(job)
    expect(await operation(job, delivery())).toMatchObject({ executed: true, settlement: 'settled' })
    expect((await ledger.get(scope, run.id))?.outcome).toBe('succeeded')
    const failing: Job = { work: randomUUID(), ends: 'with an error' }
    await operation.conclude(failing, delivery()).then((conclusion) => {
      expect(conclusion).toMatchObject({ threw: true, settlement: 'settled' })
    })
    await operation.conclude(failing, delivery(2))
    const verdict = await operation({ work: randomUUID(), ends: 'in its transaction' }, delivery())
    expect(verdict).toMatchObject({ executed: true, settlement: 'settled' })
    if (isGuarded) {
      expect(await operation.open(job)).toMatchObject({ state: 'cooling_down' })
      expect(await guard.explain(run)).toMatchObject({ state: 'cooling' })
      // A run has what its claim is looked up by.
      expect(await guard.release(run)).toBe(1)
      expect(await guard.explain(operation.identify(job))).toMatchObject({ state: 'free' })
    }
  }
  await showProgress(worker)
  await overlap(worker)
  const unrecorded = guard.protect({
    type: 'rights.protected',
    scope: () => scope,
    fingerprint: () => randomUUID(),
    handler: () => {},
  })
  expect(await unrecorded({}, delivery())).toMatchObject({ executed: true, settlement: 'settled' })
  await loseWork(worker)
  await loseTerm(renewing)
  await ledger.prune({ runsOlderThanMs: 0, claimsOlderThanMs: 60_000 })
}

async function showProgress({ ledger, guard }: Worker): Promise<void> {
  const operation = ledger.operation({
    type: 'rights.progress',
    scope: (_: Job) => ({ workspaceId: 'w', tenantId: 't' }),
    fingerprint: ({ work }) => work,
    guard,
    async handler({ run, counts }) {
      counts.itemSucceeded()
      await eventually(async () => {
        expect(await ledger.get(run.scope, run.id)).toMatchObject({ progress: { processed: 1 } })
      })
    },
  })
  await operation({ work: randomUUID() }, delivery())
}

/** A skipped overlap is a run as well. */
async function overlap({ ledger, guard }: Worker): Promise<void> {
  const entered = Promise.withResolvers<void>()
  const left = Promise.withResolvers<void>()
  const reconcile = ledger.systemJob({
    type: 'rights.reconcile',
    workspaceId: (_: object) => 'w',
    guard,
    async handler() {
      entered.resolve()
      await left.promise
    },
  })
  const first = reconcile({}, delivery())
  await Promise.race([entered.promise, first])
  expect(await reconcile({}, delivery())).toMatchObject({ executed: false, reason: 'overlap' })
  left.resolve()
  expect(await first).toMatchObject({ executed: true })
}

/** A run whose delivery never came is swept. */
async function loseWork(worker: Worker): Promise<void> {
  const { run } = await operationOf(worker).open({ work: randomUUID() })
  await admin(`update opsledger.operation_run set created_at = created_at - interval '2 days'
    where id = '${run.id}'`)
  const swept = await worker.ledger.sweep()
  expect(swept.map(({ id }) => id)).toContain(run.id)
}

/** A term that was retired under its work is followed by another, which adopts it. */
async function loseTerm({ ledger, guard }: Worker): Promise<void> {
  const operation = ledger.operation({
    type: 'rights.adopted',
    scope: (_: Job) => ({ workspaceId: 'w', tenantId: 't' }),
    fingerprint: ({ work }) => work,
    guard,
    async handler({ run: { id }, signal }) {
      const { rows } = await admin(`update opsledger.worker_lease l set retired_at = clock_timestamp()
        from opsledger.operation_run r where r.id = '${id}' and l.id = r.worker_id returning l.id`)
      await eventually(async () => {
        signal.throwIfAborted()
        const found = await admin(`select worker_id from opsledger.operation_run where id = '${id}'`)
        expect(found.rows[0].worker_id, 'settlement and term are another').not.toBe(rows[0].id)
      })
    },
  })
  const verdict = await operation({ work: randomUUID() }, delivery())
  expect(verdict).toMatchObject({ executed: true, settlement: 'settled' })
}

const refusal = async (work: () => Promise<unknown>): Promise<OpsLedgerError> => {
  const error = await work().then(
    () => null,
    (thrown) => thrown,
  )
  expect(error).toBeInstanceOf(DatabaseRefusedError)
  return error as OpsLedgerError
}

describe.each(['session', 'lease'] as const)('a role with the documented rights, in %s mode', (exclusion) => {
  test('is enough for everything a worker does', async () => {
    await using worker = workerOf(exclusion)
    await using renewing = workerOf(exclusion, { leaseMs: 2_000 })
    await worker.ledger.ready()
    await work(worker, renewing)
  })
})

const TABLES = ['operation_run', 'worker_lease', 'job_claim']
const NEEDED: [string, string, RegExp][] = [
  ['usage', 'schema opsledger', /usage on the schema itself/],
  ['select', 'opsledger.core_migration', /select on core_migration/],
  ['select', 'opsledger.dedupe_migration', /select on dedupe_migration/],
  ['usage', 'sequence opsledger.fence', /usage on fence/],
  ['select', 'sequence opsledger.fence', /select on fence/],
  ...TABLES.flatMap((table) =>
    ['select', 'insert', 'update'].map((right): [string, string, RegExp] => [
      right,
      `opsledger.${table}`,
      new RegExp(`${right} on ${table}`),
    ]),
  ),
  ['execute', 'function opsledger.admit', /execute on function admit/],
  ['execute', 'function opsledger.was_settled', /execute on function was_settled/],
]

describe('without one of them', () => {
  test.each(NEEDED)(
    '%s on %s: ready() and a delivery name it, and both work once it is granted',
    async (right, on, named) => {
      await admin(`revoke ${right} on ${on} from ${role}`)
      await using worker = workerOf('session')
      const operation = operationOf(worker)
      const job = { work: randomUUID() }
      try {
        for (const ask of [() => worker.ledger.ready(), () => operation(job, delivery())]) {
          const { message, code } = await refusal(ask)
          expect(code).toBe('database_refused')
          expect(message).toMatch(named)
          expect(message).toContain(`Role "${role}" lacks rights in schema "opsledger"`)
          expect(message).toContain('docs/operating.md')
        }
      } finally {
        await grantAll()
      }
      await worker.ledger.ready()
      expect(await operation(job, delivery())).toMatchObject({ executed: true })
    },
  )

  test('everything it lacks is said at once, and briefly', async () => {
    await admin(`revoke all on all functions in schema opsledger from ${role}`)
    await admin(`revoke insert, update on opsledger.worker_lease from ${role}`)
    try {
      await using worker = workerOf('lease')
      const { message } = await refusal(() => worker.ledger.ready())
      expect(message).toMatch(/insert on worker_lease; update on worker_lease/)
      expect(message).toMatch(/execute on function \w+, \w+, \w+ and \d\d more/)
      expect(message.length).toBeLessThan(500)
    } finally {
      await grantAll()
    }
  })

  test.each(TABLES)('delete on %s: only pruning is refused', async (table) => {
    await using worker = workerOf('lease')
    await worker.ledger.ready()
    await operationOf(worker)({ work: randomUUID() }, delivery())
    await admin(`update opsledger.job_claim set claimed_at = claimed_at - interval '2 days',
      settled_at = settled_at - interval '2 days', cooldown_until = cooldown_until - interval '2 days'`)
    await admin(`revoke delete on opsledger.${table} from ${role}`)
    try {
      await worker.ledger.ready()
      const { message } = await refusal(() => worker.ledger.prune({ runsOlderThanMs: 0 }))
      expect(message).toMatch(
        new RegExp(`lacks a right for prune_\\w+: permission denied for table ${table}`),
      )
    } finally {
      await grantAll()
    }
  })

  test('a queue keeps the job and its attempt, and asks again in 30 s', async () => {
    await admin(`revoke insert on opsledger.operation_run from ${role}`)
    try {
      await using worker = workerOf('session')
      let delayedMs = 0
      const job = {
        id: '1',
        queueName: 'q',
        data: { work: randomUUID() },
        timestamp: 1,
        attemptsMade: 0,
        opts: { attempts: 1 },
        moveToDelayed: async (until: number) => {
          delayedMs = until - Date.now()
        },
      }
      const processed = bullMqProcessor(operationOf(worker))(job, 'token', undefined)
      await expect(processed).rejects.toHaveProperty('name', 'DelayedError')
      expect(delayedMs).toBeGreaterThan(20_000)
    } finally {
      await grantAll()
    }
  })
})

describe('no right is granted that nothing needs: taken away behind ready(), something fails', () => {
  const granted: [string, string][] = [
    ['usage', 'sequence opsledger.fence'],
    ...TABLES.flatMap((table) =>
      ['select', 'insert', 'update'].map((right): [string, string] => [right, `opsledger.${table}`]),
    ),
  ]
  test.each(granted)('%s on %s', async (right, on) => {
    await using worker = workerOf('lease')
    await using renewing = workerOf('lease', { leaseMs: 2_000 })
    await worker.ledger.ready()
    await renewing.ledger.ready()
    await admin(`revoke ${right} on ${on} from ${role}`)
    try {
      await expect(work(worker, renewing)).rejects.toThrow(/lacks a right for|settlement|is lost/)
    } finally {
      await grantAll()
    }
  })

  test('select on sequence opsledger.fence', async () => {
    const client = await database.pool().connect()
    try {
      await client.query(`revoke select on sequence opsledger.fence from ${role}`)
      await client.query(`set role ${role}`)
      await expect(client.query('select opsledger.last_fence()')).rejects.toThrow(/permission denied/)
    } finally {
      await client.query('reset role')
      client.release()
      await grantAll()
    }
  })
})

describe('a ledger that only reads', () => {
  const reader = `reader_${randomUUID().slice(0, 8)}`
  beforeAll(async () => {
    await admin(`create role ${reader} login password 'sesame-open'`)
  })
  afterAll(async () => {
    await admin(`drop owned by ${reader}`)
    await admin(`drop role ${reader}`)
  })

  test('needs usage on the schema and to select runs and migrations, and names what it lacks', async () => {
    const url = new URL(database.url)
    url.username = reader
    url.password = 'sesame-open'
    await using ledger = createLedger({ connection: url.href })
    const list = () => ledger.list({ workspaceId: 'w' })
    expect((await refusal(() => ledger.ready())).message).toMatch(
      /usage on the schema itself; select on core_migration/,
    )
    expect((await refusal(list)).message).toMatch(/usage on the schema itself/)
    await admin(`grant usage on schema opsledger to ${reader}`)
    await admin(`grant select on opsledger.core_migration to ${reader}`)
    await ledger.ready()
    const asked = [
      list,
      () => ledger.openRuns({ workspaceId: 'w' }),
      () => ledger.get({ workspaceId: 'w' }, randomUUID()),
    ]
    for (const ask of asked) {
      expect((await refusal(ask)).message).toMatch(
        /lacks a right for reading runs: permission denied for table operation_run/,
      )
    }
    await admin(`grant select on opsledger.operation_run to ${reader}`)
    for (const ask of asked) await ask()
    expect((await refusal(() => ledger.sweep())).message).toMatch(/insert on worker_lease, operation_run/)
  })
})
