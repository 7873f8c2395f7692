import { createLedger, type Ledger, type Operation } from '@opsledger/core'
import { TENANTS, tenantOf, WORKSPACE } from '../cases/ledger-writes.ts'
import { type BenchPayload, declareJob, migrateLedger, payloadOf } from '../cases/opsledger.ts'
import { runLoad } from '../load.ts'
import { median, quantile } from '../statistics.ts'
import type { Figures, Trial, TrialPlace } from '../trial.ts'
import { fillLedger, OLDEST_DAYS } from './fill-ledger.ts'

/** Rounds of an empty and a grown ledger in turn, in one database. */
const ROUNDS = 5
const READS = 2_000
/** The oldest tenth is pruned: a million runs of ten. */
const PRUNED_SHARE = 0.1
const DAY_MS = 86_400_000

/** What a ledger's size costs: jobs beside an empty one's, an operator's page, pruning. */
export async function measureGrowth(trial: Trial, place: TrialPlace): Promise<Figures> {
  const empty = await openLedger(place.url, 'bench_empty')
  const grown = await openLedger(place.url, 'bench_grown')
  await fillLedger(place.url, 'bench_grown', trial.size)

  const rates = { empty: [] as number[], grown: [] as number[] }
  for (let round = 0; round < ROUNDS; round++) {
    rates.empty.push(await empty.jobsPerSecond(trial, trial.measureMs))
    rates.grown.push(await grown.jobsPerSecond(trial, trial.measureMs))
  }
  const reads = await measureReads(grown.ledger)
  let pruned = { runs: 0 }
  let pruneMs = 0
  const whilePruning = await grown.jobsPerSecond(trial, async () => {
    const beganAt = performance.now()
    pruned = await grown.ledger.prune({
      runsOlderThanMs: Math.round(OLDEST_DAYS * (1 - PRUNED_SHARE) * DAY_MS),
    })
    pruneMs = performance.now() - beganAt
  })
  await empty.ledger.close()
  await grown.ledger.close()
  return {
    emptyJobsPerSecond: median(rates.empty),
    grownJobsPerSecond: median(rates.grown),
    ...reads,
    prunedRuns: pruned.runs,
    pruneSeconds: pruneMs / 1_000,
    pruningJobsPerSecond: whilePruning,
  }
}

async function openLedger(connection: string, schema: string) {
  await migrateLedger(connection, schema)
  const ledger = createLedger({ connection, schema })
  const operation: Operation<BenchPayload, void> = declareJob(ledger, () => {})
  await ledger.ready()
  let next = 0
  return {
    ledger,
    async jobsPerSecond({ concurrency, warmUpMs }: Trial, measure: number | (() => Promise<unknown>)) {
      const work = async () => {
        const index = next++
        const delivery = { id: `delivery-${index}`, attempt: 1, maxAttempts: 3 }
        const { executed } = await operation(payloadOf(index), delivery)
        if (!executed) throw new Error(`job ${index} was refused`)
      }
      const { calls, elapsedMs } = await runLoad(work, { concurrency, warmUpMs, measure })
      return (calls / elapsedMs) * 1_000
    },
  }
}

/** A tenant's first page, as an operator opens it, and one run by its id, in turn. */
async function measureReads(ledger: Ledger): Promise<Figures> {
  const lists: number[] = []
  const gets: number[] = []
  for (let n = 0; n < READS; n++) {
    const scope = { workspaceId: WORKSPACE, tenantId: tenantOf(n % TENANTS) }
    const listedAt = performance.now()
    const { runs } = await ledger.list(scope)
    const gotAt = performance.now()
    const run = await ledger.get(scope, runs[n % runs.length]!.id)
    if (run === null) throw new Error('a listed run was not found')
    lists.push(gotAt - listedAt)
    gets.push(performance.now() - gotAt)
  }
  return {
    listP50Ms: quantile(lists, 0.5),
    listP99Ms: quantile(lists, 0.99),
    getP50Ms: quantile(gets, 0.5),
    getP99Ms: quantile(gets, 0.99),
  }
}
