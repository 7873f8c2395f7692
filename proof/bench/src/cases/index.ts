import type { BenchCase } from '../case.ts'
import { BULK_ROWS } from './bulk-rows.ts'

/** What is usual; a case says what is otherwise. */
const USUAL = { needsRedis: false, excludes: true, jobsPerCall: 1 } as const

/** In the order of the tables. */
export const CASES: readonly BenchCase[] = [
  {
    ...USUAL,
    name: 'floor',
    title: 'floor: insert a run, update it (prepared, pool of 16), no dedupe',
    excludes: false,
    load: async () => (await import('./floor.ts')).prepareFloor,
  },
  {
    ...USUAL,
    name: 'hand-rolled',
    title: 'hand-rolled guard: lock, cooldown, insert, update, cooldown, unlock (pool of 16)',
    load: async () => (await import('./hand-rolled.ts')).prepareHandRolled,
  },
  {
    ...USUAL,
    name: 'hand-rolled-tuned',
    title: 'the same, tuned: prepared, generic plans, no sequential scans, pool of 8',
    load: async () => (await import('./hand-rolled.ts')).prepareHandRolledTuned,
  },
  {
    ...USUAL,
    name: 'redlock',
    title: 'Redlock + the two ledger writes',
    needsRedis: true,
    load: async () => (await import('./redlock.ts')).prepareRedlock,
  },
  {
    ...USUAL,
    name: 'powertools',
    title: 'Powertools idempotency on Redis + the two ledger writes',
    needsRedis: true,
    load: async () => (await import('./powertools.ts')).preparePowertools,
  },
  {
    ...USUAL,
    name: 'advisory-lock',
    title: 'npm `advisory-lock` + the two ledger writes',
    load: async () => (await import('./advisory-lock.ts')).prepareAdvisoryLock,
  },
  {
    ...USUAL,
    name: 'dbos',
    title: 'DBOS workflow with an explicit id',
    load: async () => (await import('./dbos.ts')).prepareDbos,
  },
  {
    ...USUAL,
    name: 'bulk',
    title: 'bulk limit: insert 256 rows, update 256 rows, no dedupe',
    excludes: false,
    jobsPerCall: BULK_ROWS,
    load: async () => (await import('./bulk.ts')).prepareBulk,
  },
  {
    ...USUAL,
    name: 'opsledger',
    title: 'OpsLedger, session mode',
    load: async () => (await import('./opsledger.ts')).prepareSession,
  },
  {
    ...USUAL,
    name: 'opsledger-lease',
    title: 'OpsLedger, lease mode',
    load: async () => (await import('./opsledger.ts')).prepareLease,
  },
  {
    ...USUAL,
    name: 'opsledger-kysely',
    title: "OpsLedger on a host's Kysely (lease mode, pool of 16)",
    load: async () => (await import('./opsledger.ts')).prepareKysely,
  },
]

/** @throws Error for a name that no case has */
export function caseOf(name: string): BenchCase {
  const found = CASES.find((one) => one.name === name)
  if (found === undefined) throw new Error(`There is no case ${name}`)
  return found
}
