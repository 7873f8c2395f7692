import { adoptRunsFunction } from '../sql/adopt-runs.ts'
import {
  appendAttemptFunction,
  attemptEntryFunction,
  beginRunsFunction,
  runRequestType,
  runStartType,
  skipRunFunction,
} from '../sql/begin-run.ts'
import {
  closeLostRunFunction,
  closeUndeliveredRunFunction,
  staleRunsFunction,
  sweepRunsFunction,
  waitingSinceFunction,
} from '../sql/close-lost-runs.ts'
import { fenceSequence, lastFenceFunction, lockKeyFunction } from '../sql/lock-key.ts'
import { lockRunFunction, transactionStatusFunction } from '../sql/lock-run.ts'
import { openRunFunction } from '../sql/open-run.ts'
import {
  openRunIndex,
  operationRunTable,
  runByDeliveryIndex,
  runByScopeIndex,
  runByTypeIndex,
  runRules,
  runTypes,
} from '../sql/operation-run.ts'
import { namedTermsFunction, pruneLeasesFunction, pruneRunsFunction } from '../sql/prune-runs.ts'
import {
  endingOfFunction,
  reportProgressFunction,
  runSettlementType,
  settleRunBatchFunction,
  settleRunsFunction,
  wasSettledFunction,
} from '../sql/settle-runs.ts'
import { startRunsFunction } from '../sql/start-runs.ts'
import {
  registerTermFunction,
  renewTermFunction,
  retireOwnTermFunction,
  retireTermFunction,
  workerLeaseTable,
} from '../sql/worker-lease.ts'
import type { MigrationSet } from './migration.ts'

/** The schema of `@opsledger/core`. */
export const migrations: MigrationSet = {
  package: 'core',
  migrations: [
    {
      name: '0001_ledger',
      statements: [
        fenceSequence,
        lastFenceFunction,
        lockKeyFunction,
        workerLeaseTable,
        registerTermFunction,
        renewTermFunction,
        retireTermFunction,
        retireOwnTermFunction,
        ...runTypes,
        operationRunTable,
        ...runRules,
        openRunIndex,
        runByScopeIndex,
        runByTypeIndex,
        runByDeliveryIndex,
        runRequestType,
        appendAttemptFunction,
        attemptEntryFunction,
        runStartType,
        beginRunsFunction,
        skipRunFunction,
        startRunsFunction,
        runSettlementType,
        wasSettledFunction,
        endingOfFunction,
        settleRunsFunction,
        settleRunBatchFunction,
        reportProgressFunction,
        lockRunFunction,
        transactionStatusFunction,
        openRunFunction,
        waitingSinceFunction,
        closeLostRunFunction,
        closeUndeliveredRunFunction,
        staleRunsFunction,
        sweepRunsFunction,
        adoptRunsFunction,
        namedTermsFunction,
        pruneRunsFunction,
        pruneLeasesFunction,
      ],
    },
  ],
}

export type { MigrationSet, SchemaMigration, SqlFile } from './migration.ts'
