import type { MigrationSet } from '@opsledger/core/guard'
import {
  admitFunction,
  endedInHistoryFunction,
  hadAttemptFunction,
  lockLostFunction,
  lostRunFunction,
  refusedFunction,
} from '../sql/admit.ts'
import { admitOneFunction, admitUnopposedFunction } from '../sql/admit-unopposed.ts'
import { adoptFunction, freeOrphansFunction } from '../sql/adopt.ts'
import { coolingRunFunction, explainFunction, releaseFunction } from '../sql/explain.ts'
import { claimByOtherWorkIndex, claimRequestType, claimRules, jobClaimTable } from '../sql/job-claim.ts'
import { lockClaimFunction } from '../sql/lock-claim.ts'
import { namedTermsFunction, pruneClaimsFunction } from '../sql/prune-claims.ts'
import { settleFunction, settleOneFunction } from '../sql/settle.ts'
import { sweepFunction } from '../sql/sweep.ts'

/** The schema that `@opsledger/dedupe` adds to core's. */
export const migrations: MigrationSet = {
  package: 'dedupe',
  migrations: [
    {
      name: '0001_claim',
      statements: [
        jobClaimTable,
        ...claimRules,
        claimByOtherWorkIndex,
        claimRequestType,
        endedInHistoryFunction,
        hadAttemptFunction,
        lockLostFunction,
        lostRunFunction,
        refusedFunction,
        admitFunction,
        admitUnopposedFunction,
        admitOneFunction,
        settleFunction,
        settleOneFunction,
        lockClaimFunction,
        adoptFunction,
        freeOrphansFunction,
        sweepFunction,
        explainFunction,
        releaseFunction,
        coolingRunFunction,
        pruneClaimsFunction,
        namedTermsFunction,
      ],
    },
  ],
}
