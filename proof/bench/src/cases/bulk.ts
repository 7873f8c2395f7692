import { hostname } from 'node:os'
import { v7 } from 'uuid'
import type { Prepare } from '../case.ts'
import { BULK_ROWS } from './bulk-rows.ts'
import { openHostPool, TYPE, tenantOf, WORKSPACE, workOf } from './ledger-writes.ts'

const INSERT = `
insert into run (id, workspace_id, tenant_id, type, work_key, delivery_id, worker, attempt, status, started_at)
select id, $1, tenant_id, $2, work_key, delivery_id, $3, 1, 'running', clock_timestamp()
from unnest($4::uuid[], $5::text[], $6::text[], $7::text[]) as job (id, tenant_id, work_key, delivery_id)`

const COMPLETE = `
update run set status = 'completed', outcome = 'succeeded', total = 1, processed = 1, failed = 0,
  completed_at = clock_timestamp()
where id = any ($1::uuid[])`

/** The limit of batching: the floor's two writes for 256 jobs at once, all of them known beforehand. */
export const prepareBulk: Prepare = async ({ url, handler }) => {
  const pool = await openHostPool(url, 16)
  const worker = `${hostname()}:${process.pid}`
  return {
    async job(call) {
      const indexes = Array.from({ length: BULK_ROWS }, (_, row) => call * BULK_ROWS + row)
      const ids = indexes.map(() => v7())
      const works = indexes.map(workOf)
      const deliveries = indexes.map((index) => `delivery-${index}`)
      await pool.query({
        name: 'insert_runs',
        text: INSERT,
        values: [WORKSPACE, TYPE, worker, ids, indexes.map(tenantOf), works, deliveries],
      })
      for (const index of indexes) await handler(index)
      await pool.query({ name: 'complete_runs', text: COMPLETE, values: [ids] })
      return true
    },
    close: () => pool.end(),
  }
}
