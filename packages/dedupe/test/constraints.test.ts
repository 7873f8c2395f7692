import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { insertRow, type Row } from '../../core/test/support/rows.ts'
import { type RefusedRow, refusalOf, rulesOf, tablesOf } from '../../core/test/support/rules.ts'
import { useLedgerDatabase } from './support/ledger.ts'

const database = useLedgerDatabase()

const AT = '2026-01-01T00:00:00Z'
const LATER = '2026-01-01T00:15:00Z'

const held = (): Row => ({
  identity: randomUUID(),
  work_key: randomUUID(),
  lock_key: 1,
  fence: 1,
  claimed_at: AT,
  worker_id: randomUUID(),
  state: 'held',
  delivery_id: 'd1',
})
const CLAIMS = {
  held,
  'held for a run': () => ({ ...held(), run_id: randomUUID() }),
  free: () => ({ ...held(), state: 'free', settled_at: AT }),
  cooling: () => ({ ...held(), state: 'cooling', settled_at: AT, cooldown_until: LATER }),
} satisfies Record<string, () => Row>

const claim = (rule: string, row: Row, besides?: Row): RefusedRow => ({
  rule,
  table: 'job_claim',
  row,
  besides,
})
const { free, cooling } = CLAIMS
const REPEATED = held()

const REFUSED: Record<string, RefusedRow> = {
  ...Object.fromEntries(
    ['identity', 'work_key', 'lock_key', 'fence', 'claimed_at', 'worker_id', 'state', 'delivery_id'].map(
      (column) => [
        `a claim without ${column}`,
        claim(`job_claim.${column} is not null`, { ...held(), [column]: null }),
      ],
    ),
  ),
  'a second claim of one identity': claim(
    'claim_identity_is_unique',
    { ...free(), identity: REPEATED.identity },
    REPEATED,
  ),
  'a state that is no word of ours': claim('claim_state_is_known', {
    ...held(),
    state: 'lost',
    settled_at: AT,
  }),
  'a held claim that is settled': claim('claim_held_is_not_settled', { ...held(), settled_at: AT }),
  'a free claim that was never settled': claim('claim_held_is_not_settled', { ...free(), settled_at: null }),
  'a cooling claim that was never settled': claim('claim_held_is_not_settled', {
    ...cooling(),
    settled_at: null,
  }),
  'a cooling claim without an end': claim('claim_cooling_says_until_when', {
    ...cooling(),
    cooldown_until: null,
  }),
  'a free claim with a cooldown': claim('claim_cooling_says_until_when', {
    ...free(),
    cooldown_until: LATER,
  }),
  'a held claim with a cooldown': claim('claim_cooling_says_until_when', {
    ...held(),
    cooldown_until: LATER,
  }),
  'a cooldown that ends before the settlement': claim('claim_cooldown_ends_after_settlement', {
    ...cooling(),
    settled_at: LATER,
    cooldown_until: AT,
  }),
}

describe('a claim that breaks one rule', () => {
  test.each(Object.entries(REFUSED))('%s is refused by name', async (_, refused) => {
    expect(await refusalOf(database.pool(), refused)).toBe(refused.rule)
  })

  test.each(Object.entries(REFUSED))('%s breaks that rule only', async (_, refused) => {
    expect(await refusalOf(database.pool(), refused, { without: refused.rule })).toBeNull()
  })
})

test('every rule that this package adds to the schema has a row that it refuses', async () => {
  const tested = new Set(Object.values(REFUSED).map(({ rule }) => rule))
  const pool = database.pool()
  const added = (await tablesOf(pool)).filter((table) => !['operation_run', 'worker_lease'].includes(table))
  expect(added).toEqual(['job_claim'])
  expect([...tested].sort()).toEqual((await rulesOf(pool, added)).sort())
})

test.each(Object.entries(CLAIMS))('a valid claim that is %s is accepted', async (_, row) => {
  await expect(insertRow(database.pool(), 'job_claim', row())).resolves.toBeUndefined()
})
