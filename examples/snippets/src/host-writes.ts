import { strict as assert } from 'node:assert'
import { createLedger, TransactionUnconfirmedError } from '@opsledger/core'
import { createGuard, fingerprint } from '@opsledger/dedupe'
import type { Transaction } from 'kysely'
import pg from 'pg'
import './migrated.ts'

interface PolicyJob {
  workspaceId: string
  policyId: string
}

interface InvoiceJob {
  workspaceId: string
  invoiceId: string
}

interface HostTables {
  assignment: { policy_id: string; name: string }
  booking: { invoice_id: string; line: number; amount: number }
}

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
await pool.query(`
  create table assignment (policy_id text not null, name text not null, primary key (policy_id, name));
  create table booking (invoice_id text not null, line integer not null, amount integer not null)`)

const provider = {
  async *assignments(policyId: string, { signal }: { signal: AbortSignal }) {
    for (const name of ['first', 'second']) {
      signal.throwIfAborted()
      yield { policy_id: policyId, name }
    }
  },
  async invoice(invoiceId: string, { signal }: { signal: AbortSignal }) {
    signal.throwIfAborted()
    return { lines: [10, 20, 30].map((amount, line) => ({ invoice_id: invoiceId, line, amount })) }
  },
}

const ledger = createLedger({ connection: process.env.DATABASE_URL })
const guard = createGuard(ledger)

// #region write
const fetchAssignments = ledger.operation({
  type: 'assignment.fetch',
  scope: (job: PolicyJob) => ({ workspaceId: job.workspaceId }),
  fingerprint: fingerprint(['policyId']),
  guard,
  async handler({ payload, run, counts, signal }) {
    for await (const assignment of provider.assignments(payload.policyId, { signal })) {
      // committed only while this attempt has its claim, else rolled back with a ClaimLostError
      await run.transaction((trx: Transaction<HostTables>) =>
        trx
          .insertInto('assignment')
          .values(assignment)
          .onConflict((conflict) => conflict.doNothing()) // a retry begins at the beginning
          .execute(),
      )
      counts.itemSucceeded()
    }
  },
})
// #endregion

// #region settles
const bookInvoice = ledger.operation({
  type: 'invoice.book',
  scope: (job: InvoiceJob) => ({ workspaceId: job.workspaceId }),
  fingerprint: fingerprint(['invoiceId']),
  guard,
  async handler({ payload, run, counts, signal }) {
    const { lines } = await provider.invoice(payload.invoiceId, { signal }) // slow: before the transaction
    counts.itemSucceeded(lines.length) // so are the counts: they are settled with it
    await run.transaction(
      async (trx: Transaction<HostTables>) => {
        await trx.insertInto('booking').values(lines).execute()
      },
      { settles: true }, // the bookings and the run's `succeeded`, or neither
    )
  },
})
// #endregion

// #region look
async function wasCommitted(error: TransactionUnconfirmedError): Promise<boolean> {
  const { rows } = await pool.query('select pg_xact_status($1::xid8) as status', [error.transactionId])
  const [{ status }] = rows // 'committed', 'aborted', 'in progress'; null when it was long ago
  return status === 'committed'
}
// #endregion

const fetched = await fetchAssignments(
  { workspaceId: 'acme', policyId: 'p-1' },
  { id: 'd-1', attempt: 1, maxAttempts: 3 },
)
assert(fetched.executed)
assert.deepEqual(fetched.run.counts, { total: 2, processed: 2, failed: 0 })
assert.equal((await pool.query('select from assignment')).rowCount, 2)

const booked = await bookInvoice(
  { workspaceId: 'acme', invoiceId: 'i-1' },
  { id: 'd-2', attempt: 1, maxAttempts: 3 },
)
assert(booked.executed)
assert.equal(booked.run.outcome, 'succeeded')
assert.deepEqual(booked.run.counts, { total: 3, processed: 3, failed: 0 })
assert.equal((await pool.query('select from booking')).rowCount, 3)

const transactions = await pool.query('select xmin::text as id from booking limit 1')
assert(await wasCommitted(new TransactionUnconfirmedError(transactions.rows[0].id, 1)))

await ledger.close()
await pool.end()
