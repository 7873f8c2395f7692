import { randomUUID } from 'node:crypto'
import { createGuard, jobIdentity } from '@opsledger/dedupe'
import { describe, expect, it } from 'vitest'
import { mutate } from './acceptance/support/database.ts'
import { type Cell, readClaimTable } from './support/claim-table.ts'
import { useLedgers } from './support/ledger.ts'
import { scriptedWorker } from './support/scripted-worker.ts'
import { useVariantDatabase, VARIANTS } from './support/variants.ts'
import { walkClaimTable } from './support/walk-claim-table.ts'

const cells: Cell[] = [...(await readClaimTable('new')), ...(await readClaimTable('settle'))]

it('the page has a cell for each of six states and nine events', () => {
  expect(cells).toHaveLength(6 * 9)
})

describe.each(VARIANTS)('$name', (variant) => {
  const database = useVariantDatabase(variant)
  const newLedger = useLedgers(database)

  it.each(cells)('$state meets $event: $expected', async (cell) => {
    const walk = walkClaimTable(database.pool(), newLedger, variant.exclusion)
    expect(await walk.play(cell)).toEqual(cell.expected)
  })

  it('a settlement under a fence that another claim has followed is superseded and changes no row', async () => {
    const pool = database.pool()
    const job = jobIdentity({
      scope: { workspaceId: 'w', tenantId: 't' },
      type: 'assignment.fetch',
      fingerprint: 'superseded',
    })
    const slow = await scriptedWorker(pool)
    const claim = await slow.admit(job, 'd1')
    await slow.expire()
    const delivery = { id: 'd2', attempt: 1, maxAttempts: 5 }
    const guard = createGuard(newLedger(), { exclusion: variant.exclusion })
    const taken = await guard.admit({ job, newRunId: randomUUID(), delivery, context: null })
    expect(taken.admitted).toBe(true)

    const rows = async () => [
      (await pool.query('select * from opsledger.job_claim where identity = $1', [job.identity])).rows,
      (await pool.query('select * from opsledger.operation_run where identity = $1', [job.identity])).rows,
    ]
    const before = await rows()
    expect(await slow.settle(claim, 'succeeded')).toBe('superseded')
    expect(await slow.settle(claim, 'retrying')).toBe('superseded')
    expect(await rows()).toEqual(before)
  })
})

describe.each(VARIANTS)('the walk catches ($name)', (variant) => {
  const database = useVariantDatabase(variant)
  const newLedger = useLedgers(database)

  it.each(mutants())('a library that $name', async ({ cell, of, edits }) => {
    const found = cells.find(({ state, event }) => `${state} meets ${event}` === cell)!
    await mutate(database.pool(), of, edits)
    const outcome = await walkClaimTable(database.pool(), newLedger, variant.exclusion)
      .play(found)
      .catch((error: Error) => [error.message])
    expect(outcome).not.toEqual(found.expected)
  })
})

interface Mutant {
  name: string
  cell: string
  of: string
  edits: [from: string, to: string][]
}

function mutants(): Mutant[] {
  return [
    {
      name: 'forgets the cooldown',
      cell: 'cooling meets new',
      of: 'admit',
      edits: [['elsif v_cooling then', 'elsif false then']],
    },
    {
      name: 'takes what a live lease holds',
      cell: 'live meets new',
      of: 'admit',
      edits: [['(seen.lease).expires_at <= v_at end, false)', 'true end, true) or true']],
    },
    {
      name: 'never retires an expired lease',
      cell: 'expired meets new',
      of: 'retire_expired_term',
      edits: [['and expires_at <= clock_timestamp();', 'and false;']],
    },
    {
      name: 'discards the same delivery of a running job',
      cell: 'live meets same',
      of: 'refused',
      edits: [["(p_verdict in ('overlap', 'not_canonical') and", '(false and']],
    },
    {
      name: 'executes a delivery again whose run has ended',
      cell: 'free meets late',
      of: 'admit',
      edits: [['if seen.ended_id is not null then', 'if false then']],
    },
    {
      name: 'settles twice',
      cell: 'live meets settle again',
      of: 'settle',
      edits: [[" and c.state = 'held'", '']],
    },
    {
      name: 'does not know that it has settled',
      cell: 'live meets settle again',
      of: 'settle',
      edits: [['"opsledger".was_settled(r, i.fence) end', 'false end']],
    },
    {
      name: 'adopts whatever its fence',
      cell: 'cooling meets re-adopt',
      of: 'adopt',
      edits: [
        ['if not found then', 'if false then'],
        ['v_runs := found or', 'v_runs := true or'],
      ],
    },
    {
      name: 'leaves the claim of a swept run',
      cell: 'expired meets sweep',
      of: 'sweep',
      edits: [['where identity = v_run.identity', 'where false and identity = v_run.identity']],
    },
    {
      name: 'waits for its own orphan',
      cell: 'orphan meets new',
      of: 'admit',
      edits: [['(seen.claim).fence = seen.orphan_fence', 'false']],
    },
  ]
}
