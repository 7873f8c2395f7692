import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { useCoreDatabase } from './support/ledger.ts'
import { insertRow, type Row, RUNS } from './support/rows.ts'
import { type RefusedRow, refusalOf, rulesOf, tablesOf } from './support/rules.ts'

const database = useCoreDatabase()

const AT = '2026-01-01T00:00:00Z'
const HISTORY = [{ attempt: 1 }]

const run = (rule: string, row: Row, besides?: Row): RefusedRow => ({
  rule,
  table: 'operation_run',
  row,
  besides,
})
const lease = (rule: string, row: Row, besides?: Row): RefusedRow => ({
  rule,
  table: 'worker_lease',
  row,
  besides,
})
const LEASE: Row = { id: randomUUID(), host: 'h', pid: 1, started_at: AT, expires_at: AT }
const { queued, running, retrying, succeeded, partiallySucceeded, failed, skipped, cancelled } = RUNS
const REPEATED = running()

const REFUSED: Record<string, RefusedRow> = {
  'a run without an id': run('operation_run.id is not null', { ...queued(), id: null }),
  'a run without an identity': run('operation_run.identity is not null', { ...queued(), identity: null }),
  'a run without a work key': run('operation_run.work_key is not null', { ...queued(), work_key: null }),
  'a run without a status': run('operation_run.status is not null', { ...queued(), status: null }),
  'a run without a workspace': run('operation_run.workspace_id is not null', {
    ...queued(),
    workspace_id: null,
  }),
  'a run without a type': run('operation_run.type is not null', { ...queued(), type: null }),
  'a run without a creation time': run('operation_run.created_at is not null', {
    ...queued(),
    created_at: null,
  }),
  'a run without an outcome': run('operation_run.outcome is not null', { ...queued(), outcome: null }),
  'a run without a number of attempts': run('operation_run.attempt is not null', {
    ...queued(),
    attempt: null,
  }),

  'a run id twice': run('run_id_is_unique', { ...succeeded(), id: REPEATED.id }, REPEATED),
  'a second open run of one work': run(
    'one_open_run_per_work',
    { ...queued(), work_key: REPEATED.work_key },
    REPEATED,
  ),

  'an empty workspace': run('scope_id_is_not_empty', { ...queued(), workspace_id: '' }),
  'an empty tenant': run('scope_id_is_not_empty', { ...queued(), tenant_id: '' }),
  'an empty type': run('scope_id_is_not_empty', { ...queued(), type: '' }),
  'a workspace of 201 characters': run('scope_id_is_not_empty', {
    ...queued(),
    workspace_id: 'w'.repeat(201),
  }),
  'a reason code of one word': run('reason_code_has_its_form', { ...failed(), reason_code: 'failed' }),
  'a reason code in capitals': run('reason_code_has_its_form', {
    ...failed(),
    reason_code: 'Network.Timeout',
  }),
  'a reason code of five words': run('reason_code_has_its_form', { ...failed(), reason_code: 'a.b.c.d.e' }),
  'a reason code with a dangling underscore': run('reason_code_has_its_form', {
    ...failed(),
    reason_code: 'network_.timeout',
  }),
  'a reason code with a line break behind it': run('reason_code_has_its_form', {
    ...failed(),
    reason_code: 'network.timeout\n',
  }),
  'a reason code of 65 characters': run('reason_code_has_its_form', {
    ...failed(),
    reason_code: `a.${'b'.repeat(63)}`,
  }),
  'a message of 2,001 characters': run('message_is_short_and_not_empty', {
    ...failed(),
    message: 'x'.repeat(2_001),
  }),
  'an empty message': run('message_is_short_and_not_empty', { ...failed(), message: '' }),
  'a history of 21 attempts': run('attempt_history_is_bounded', {
    ...retrying(),
    attempt_history: Array(21).fill({}),
  }),
  'a history that is no list': run('attempt_history_is_bounded', { ...retrying(), attempt_history: {} }),
  'item failures that are a list': run('item_failures_are_by_code', {
    ...partiallySucceeded(),
    item_failures: ['provider.rejected'],
  }),

  'a completed run without an outcome': run('run_has_outcome_and_time_exactly_when_completed', {
    ...succeeded(),
    outcome: 'pending',
  }),
  'a completed run without a time': run('run_has_outcome_and_time_exactly_when_completed', {
    ...succeeded(),
    completed_at: null,
  }),
  'a running run with an outcome': run('run_has_outcome_and_time_exactly_when_completed', {
    ...running(),
    outcome: 'cancelled',
  }),
  'a queued run with a completion time': run('run_has_outcome_and_time_exactly_when_completed', {
    ...queued(),
    completed_at: AT,
  }),
  'a succeeded run without counts': run('run_has_counts_once_completed', {
    ...succeeded(),
    total: null,
    processed: null,
    failed: null,
  }),
  'a cancelled run without counts': run('run_has_counts_once_completed', {
    ...cancelled(),
    total: null,
    processed: null,
    failed: null,
  }),
  'a failed run without counts': run('run_has_counts_once_completed', {
    ...failed(),
    total: null,
    processed: null,
    failed: null,
  }),
  'a retrying run with one count only': run('run_counts_come_together_and_in_order', {
    ...retrying(),
    processed: null,
    failed: null,
  }),
  'fewer than no failed items': run('run_counts_come_together_and_in_order', { ...failed(), failed: -1 }),
  'more failed than processed items': run('run_counts_come_together_and_in_order', {
    ...failed(),
    failed: 3,
  }),
  'more processed items than there are': run('run_counts_come_together_and_in_order', {
    ...succeeded(),
    processed: 4,
  }),
  'a succeeded run with a failed item': run('run_counts_fit_the_outcome', { ...succeeded(), failed: 1 }),
  'a partial success without a failed item': run('run_counts_fit_the_outcome', {
    ...partiallySucceeded(),
    failed: 0,
  }),
  'a partial success of failed items only': run('run_counts_fit_the_outcome', {
    ...partiallySucceeded(),
    failed: 3,
  }),
  'a skipped run that counts': run('run_counts_fit_the_outcome', { ...skipped(), total: 1 }),
  'a failed run without a reason code': run('run_says_why_it_failed_or_was_skipped', {
    ...failed(),
    reason_code: null,
  }),
  'a failed run without a message': run('run_says_why_it_failed_or_was_skipped', {
    ...failed(),
    message: null,
  }),
  'a skipped run without a reason code': run('run_says_why_it_failed_or_was_skipped', {
    ...skipped(),
    reason_code: null,
  }),
  'a queued run that was executed': run('run_has_the_attempts_of_its_status', {
    ...running(),
    status: 'queued',
  }),
  'a running run without a delivery': run('run_has_the_attempts_of_its_status', {
    ...running(),
    delivery_id: null,
    delivery_attempt: null,
    delivery_maximum: null,
  }),
  'a running run without an attempt': run('run_has_the_attempts_of_its_status', {
    ...queued(),
    status: 'running',
    delivery_id: 'd1',
    delivery_attempt: 1,
    delivery_maximum: 1,
  }),
  'a retrying run without an attempt': run('run_has_the_attempts_of_its_status', {
    ...queued(),
    status: 'retrying',
    attempt_history: HISTORY,
  }),
  'a retrying run whose failed attempt is not in its history': run('run_has_the_attempts_of_its_status', {
    ...retrying(),
    attempt_history: null,
  }),
  'a succeeded run that was never executed': run('run_has_the_attempts_of_its_status', {
    ...succeeded(),
    attempt: 0,
    fence: null,
    worker_id: null,
    started_at: null,
  }),
  'an attempt without a fence': run('run_attempts_are_fenced', { ...running(), fence: null }),
  'an attempt without a worker': run('run_attempts_are_fenced', { ...running(), worker_id: null }),
  'an attempt without a start': run('run_attempts_are_fenced', { ...running(), started_at: null }),
  'a settled attempt without a fence': run('run_attempts_are_fenced', { ...succeeded(), fence: null }),
  'a fence without an attempt': run('run_attempts_are_fenced', { ...queued(), fence: 1 }),
  'fewer than no attempts': run('run_attempts_are_fenced', {
    ...skipped(),
    attempt: -1,
  }),
  'a delivery id without its numbers': run('run_delivery_is_whole_and_counts_from_one', {
    ...running(),
    delivery_attempt: null,
  }),
  'a delivery attempt of 0': run('run_delivery_is_whole_and_counts_from_one', {
    ...running(),
    delivery_attempt: 0,
  }),
  'a delivery maximum of 0': run('run_delivery_is_whole_and_counts_from_one', {
    ...running(),
    delivery_maximum: 0,
  }),
  'a succeeded run that points to another': run('run_points_to_another_run_exactly_when_skipped', {
    ...succeeded(),
    canonical_run_id: randomUUID(),
  }),
  'a running run that points to another': run('run_points_to_another_run_exactly_when_skipped', {
    ...running(),
    canonical_run_id: randomUUID(),
  }),
  'a skipped run that points to none': run('run_points_to_another_run_exactly_when_skipped', {
    ...skipped(),
    canonical_run_id: null,
  }),
  'a skipped run that points to itself': run('run_points_to_another_run_exactly_when_skipped', {
    ...skipped(),
    id: REPEATED.id,
    canonical_run_id: REPEATED.id,
  }),
  'progress of a run that has ended': run('run_progress_is_of_the_running_attempt', {
    ...succeeded(),
    progress: { total: 1, processed: 1, failed: 0 },
  }),
  'progress of a queued run': run('run_progress_is_of_the_running_attempt', { ...queued(), progress: {} }),

  'a lease without an id': lease('worker_lease.id is not null', { ...LEASE, id: null }),
  'a lease without a host': lease('worker_lease.host is not null', { ...LEASE, host: null }),
  'a lease without a process': lease('worker_lease.pid is not null', { ...LEASE, pid: null }),
  'a lease without a start': lease('worker_lease.started_at is not null', { ...LEASE, started_at: null }),
  'a lease without an end': lease('worker_lease.expires_at is not null', { ...LEASE, expires_at: null }),
  'a lease id twice': lease('worker_lease_id_is_unique', LEASE, LEASE),
  'a lease that ends before it starts': lease('worker_lease_expires_after_start', {
    ...LEASE,
    started_at: '2026-01-01T00:00:00.000001Z',
  }),
}

describe('a row that breaks one rule', () => {
  test.each(Object.entries(REFUSED))('%s is refused by name', async (_, refused) => {
    expect(await refusalOf(database.pool(), refused)).toBe(refused.rule)
  })

  test.each(Object.entries(REFUSED))('%s breaks that rule only', async (_, refused) => {
    expect(await refusalOf(database.pool(), refused, { without: refused.rule })).toBeNull()
  })
})

test('every rule of the schema has a row that it refuses', async () => {
  const tested = new Set(Object.values(REFUSED).map(({ rule }) => rule))
  const pool = database.pool()
  expect([...tested].sort()).toEqual((await rulesOf(pool, await tablesOf(pool))).sort())
})

test.each(Object.entries(RUNS))('a valid %s run is accepted', async (_, row) => {
  await expect(insertRow(database.pool(), 'operation_run', row())).resolves.toBeUndefined()
})

test.each([
  ['with a word that is no status', { ...queued(), status: 'done' }],
  ['with a word that is no outcome', { ...succeeded(), outcome: 'ok' }],
])('a run %s is refused', async (_, row) => {
  await expect(insertRow(database.pool(), 'operation_run', row)).rejects.toMatchObject({ code: '22P02' })
})

test.each([
  ['a run of a workspace, without a tenant', { ...queued(), tenant_id: null }],
  ['a reopened run that still shows its last settled counts', { ...running(), ...countsOf(3, 3, 1) }],
  [
    'a lost attempt that waits for its retry without counts',
    { ...retrying(), ...countsOf(null, null, null) },
  ],
  ['a failed run whose items all went well before it threw', { ...failed(), ...countsOf(9, 4, 0) }],
  [
    'a skipped run that had been tried before',
    { ...skipped(), attempt: 2, fence: 9, worker_id: randomUUID(), started_at: AT },
  ],
  ['a delivery beyond its own maximum', { ...running(), delivery_attempt: 4, delivery_maximum: 3 }],
  ['a scope id of 200 characters outside the basic plane', { ...queued(), workspace_id: '𝒘'.repeat(100) }],
])('%s is accepted', async (_, row) => {
  await expect(insertRow(database.pool(), 'operation_run', row)).resolves.toBeUndefined()
})

function countsOf(total: number | null, processed: number | null, failedItems: number | null) {
  return { total, processed, failed: failedItems }
}
