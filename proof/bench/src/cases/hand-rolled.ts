import type pg from 'pg'
import type { Place, Prepare } from '../case.ts'
import {
  completeRun,
  insertRun,
  openHostPool,
  type Plans,
  statement,
  TYPE,
  tenantOf,
  workOf,
} from './ledger-writes.ts'

/** The library's default, so that every case refuses for as long. */
const COOLDOWN = `interval '15 minutes'`

const LOCK = 'select pg_try_advisory_lock(hashtextextended($1, 0)) as acquired'
const UNLOCK = 'select pg_advisory_unlock(hashtextextended($1, 0))'
const READ_COOLDOWN = 'select until > clock_timestamp() as refused from cooldown where identity = $1'
const START_COOLDOWN = `
insert into cooldown (identity, until, run_id) values ($1, clock_timestamp() + ${COOLDOWN}, $2)
on conflict (identity) do update set until = excluded.until, run_id = excluded.run_id`

/** What a team writes in an afternoon: six statements around the handler, on a connection that the lock needs. */
async function guarded(
  client: pg.PoolClient,
  index: number,
  plans: Plans,
  handler: Place['handler'],
): Promise<boolean> {
  const identity = `${tenantOf(index)}/${TYPE}/${workOf(index)}`
  const run = (name: string, text: string, values: unknown[]) =>
    client.query(statement(plans, name, text, values))
  const { rows: locks } = await run('lock', LOCK, [identity])
  if (!locks[0].acquired) return false
  try {
    const { rows: cooldowns } = await run('read_cooldown', READ_COOLDOWN, [identity])
    if (cooldowns[0]?.refused) return false
    const id = await insertRun(client, index, plans)
    await handler(index)
    await completeRun(client, id, plans)
    await run('start_cooldown', START_COOLDOWN, [identity, id])
    return true
  } finally {
    await run('unlock', UNLOCK, [identity])
  }
}

interface Variant {
  readonly plans: Plans
  readonly connections: number
  /** Settings of its sessions. */
  readonly options?: string
}

const handRolled =
  ({ plans, connections, options }: Variant): Prepare =>
  async ({ url, handler }) => {
    const pool = await openHostPool(url, connections, options)
    return {
      async job(index) {
        const client = await pool.connect()
        try {
          return await guarded(client, index, plans, handler)
        } finally {
          client.release()
        }
      },
      close: () => pool.end(),
    }
  }

export const prepareHandRolled = handRolled({ plans: 'unnamed', connections: 16 })

export const prepareHandRolledTuned = handRolled({
  plans: 'prepared',
  connections: 8,
  options: '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off',
})

/** For a queue of this concurrency: the lock holds a connection for as long as the handler runs. */
export const prepareHandRolledFor = (concurrency: number): Prepare =>
  handRolled({ plans: 'unnamed', connections: concurrency })
