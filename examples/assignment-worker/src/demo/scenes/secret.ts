import { type Kysely, sql } from 'kysely'
import type { HostTables } from '../../app/host-schema.ts'
import { PROVIDER_KEY } from '../stage.ts'
import { endOf, type Scene } from './scene.ts'

const PASSWORD = 'Correct-Horse-7'

export const secret: Scene = {
  shows: "a terminal failure says why, without the secret in the provider's error",
  async play({ provider, happenings, draw, db, send, ended, job, runsOf }, expect) {
    const body = {
      error: 'invalid key',
      received: { authorization: `Bearer ${PROVIDER_KEY}` },
      callback: `https://hooks:${PASSWORD}@hooks.example/assignments`,
    }
    provider.script('GET /policies/locked/assignments?page=1', { status: 401, body })
    const delivered = await ended('fetch', await send('fetch', job('locked')))

    const [run] = await runsOf('assignment.fetch', 'locked')
    draw.detail(`in the ledger: ${run?.message}`)
    expect('how it ended', endOf(run), { outcome: 'failed', attempt: 1, counts: [0, 0, 0] })
    expect('the reason', run?.reasonCode, 'provider.unauthorized')
    expect('the job, which had two more attempts', [delivered.state, delivered.retryCount], ['failed', 0])
    expect('the message quotes the provider', /invalid key.*\[redacted\]/.test(run?.message ?? ''), true)
    const eventsWith = (text: string) =>
      happenings.all.filter(({ message }) => JSON.stringify(message).includes(text)).map(({ name }) => name)
    for (const value of [PROVIDER_KEY, PASSWORD]) {
      expect('tables with the secret', await tablesWith(db, value), [])
      expect('events with it', eventsWith(value), [])
    }
    // The searches do find what is there.
    expect('tables with the reason', await tablesWith(db, 'provider.unauthorized'), [
      'opsledger.operation_run',
      'pgboss.job_common',
    ])
    expect('events with the reason', eventsWith('provider.unauthorized'), ['opsledger:run.settled'])
  },
}

/** Every table of this database that holds this text in any column. */
async function tablesWith(db: Kysely<HostTables>, text: string): Promise<string[]> {
  const { rows: tables } = await sql<{ schema: string; name: string }>`
    select schemaname as schema, tablename as name from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema') order by 1, 2`.execute(db)
  const found: string[] = []
  for (const { schema, name } of tables) {
    const { rows } = await sql<{ is_there: boolean }>`
      select exists (select from only ${sql.table(`${schema}.${name}`)} as t where strpos(t::text, ${text}) > 0)
        as is_there`.execute(db)
    if (rows[0]?.is_there) found.push(`${schema}.${name}`)
  }
  return found
}
