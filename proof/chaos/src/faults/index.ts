import type { Fault } from '../fault.ts'
import { blockedEventLoop } from './blocked-event-loop.ts'
import { clockSkew } from './clock-skew.ts'
import { commitCut } from './commit-cut.ts'
import { diskFull } from './disk-full.ts'
import { exactlyOnceEffects } from './exactly-once-effects.ts'
import { frozenWorker } from './frozen-worker.ts'
import { lockSessionTerminated } from './lock-session-terminated.ts'
import { migrationStampede } from './migration-stampede.ts'
import { networkBlackhole } from './network-blackhole.ts'
import { poolExhaustion } from './pool-exhaustion.ts'
import { postgresRestarts } from './postgres-restarts.ts'
import { serverReaping } from './server-reaping.ts'
import { slowWrites } from './slow-writes.ts'
import { strictIsolation } from './strict-isolation.ts'
import { transactionPooler } from './transaction-pooler.ts'
import { workerKilled } from './worker-killed.ts'

/** In the order in which they are run and shown. */
export const faults: readonly Fault[] = [
  workerKilled,
  lockSessionTerminated,
  commitCut,
  networkBlackhole,
  transactionPooler,
  postgresRestarts,
  frozenWorker,
  blockedEventLoop,
  strictIsolation,
  poolExhaustion,
  clockSkew,
  serverReaping,
  slowWrites,
  diskFull,
  migrationStampede,
  exactlyOnceEffects,
]
