import { hostname } from 'node:os'
import type { Kysely } from 'kysely'
import type { ConnectionSettings } from './database/executor.ts'
import { assertMayWork, explainRefusals } from './database/inspect-server.ts'
import { createKyselyExecutor } from './database/kysely-executor.ts'
import { createOwnExecutor, DEFAULT_CONNECTIONS } from './database/own-executor.ts'
import { InvalidOptionError, LedgerClosedError } from './errors.ts'
import { publish } from './events.ts'
import type { Guard, SweepPlace, SweptBatch } from './guard/guard.ts'
import { createRecordOnlyGuard } from './guard/record-only-guard.ts'
import { assertKnownOptions } from './known-options.ts'
import {
  assertKysely,
  assertOneWay,
  assertSchemaName,
  connectionSettings,
  DEFAULT_SCHEMA,
} from './migrate.ts'
import { migrations } from './migrations/index.ts'
import type { MigrationSet } from './migrations/migration.ts'
import { createOperation, type Operation } from './operation/operation.ts'
import {
  assertDuration,
  DEFAULT_DELIVERY_LIMIT_MS,
  type OperationOptions,
  planOperation,
  planSystemJob,
  type SystemJobOptions,
} from './operation/operation-plan.ts'
import { createProgressReporter, DEFAULT_PROGRESS_EVERY_MS } from './operation/progress-reporter.ts'
import { type PruneOptions, type PruneReport, pruneLedger } from './operators/prune.ts'
import { createReads, type Reads } from './operators/reads.ts'
import { createRedactor } from './redaction/redactor.ts'
import { secretsOf } from './redaction/secrets-of.ts'
import type { Run } from './run/run.ts'
import { assertText, MAX_SCOPE_ID_LENGTH } from './run/scope.ts'
import { createReadiness, type Runtime } from './runtime.ts'
import { createExecutions } from './worker/executions.ts'
import { createTerm, DEFAULT_LEASE_MS, MAX_LEASE_MS, MIN_LEASE_MS } from './worker/term.ts'

/** A queue's own visibility or lock time-out is usually 30 s: an admission must have failed clearly before that. */
const DEFAULT_ADMISSION_TIMEOUT_MS = 10_000
/** Longer than a restart or a failover: what was executed should be known, and the handler is done anyway. */
const DEFAULT_SETTLEMENT_TIMEOUT_MS = 30_000
/** Most handlers stop within seconds of their signal; orchestrators kill after 30. */
const DEFAULT_CLOSE_TIMEOUT_MS = 10_000
/** Runs looked at per statement: each holds an advisory lock until its commit. */
const SWEEP_BATCH = 100

const OPTION_NAMES = [
  'connection',
  'pool',
  'kysely',
  'schema',
  'connections',
  'leaseMs',
  'progressEveryMs',
  'admissionTimeoutMs',
  'settlementTimeoutMs',
  'secrets',
] as const satisfies readonly (keyof LedgerOptions)[]

/** One of `connection`, `pool` and `kysely` says where the database is. */
export interface LedgerOptions {
  /** Connection string or pg settings; the library opens and owns its few connections. */
  readonly connection?: ConnectionSettings | string | undefined
  /** The host's pg pool: only its settings are read. */
  readonly pool?: { readonly options: object }
  /** The host's Kysely instance: used as it is, in lease mode. */
  // biome-ignore lint/suspicious/noExplicitAny: any database type will do, none of its tables are used
  readonly kysely?: Kysely<any>
  /**
   * Where the tables are: a lower-case SQL name of at most 48 characters. Two schemas are two ledgers, whose claims do
   * not exclude each other.
   * @default 'opsledger'
   */
  readonly schema?: string
  /** At most so many for work, and as many again for `run.transaction`; a guard's one for locks comes on top. @default 4 */
  readonly connections?: number
  /** How long a worker may be silent before its claims can be taken, in ms: 500 to 600,000. @default 15,000 */
  readonly leaseMs?: number
  /** How often a running attempt's counts are written, in ms; all of a process in one statement. @default 1,000 */
  readonly progressEveryMs?: number
  /**
   * How long an admission waits for a database that is away, in ms: it should have failed before the queue's own
   * visibility or lock time-out, which is usually 30 s.
   * @default 10,000
   */
  readonly admissionTimeoutMs?: number
  /** How long a settlement is sent again, in ms; then the answer is `unconfirmed`. @default 30,000 */
  readonly settlementTimeoutMs?: number
  /**
   * Values that must never reach a column or an event, beside the connection's own. Those under 6 characters are not
   * looked for.
   */
  readonly secrets?: readonly string[]
}

/** Where a sweep looks, and how patient it is. */
export interface SweepOptions {
  /** Only this workspace's runs. @default every workspace */
  readonly workspaceId?: string
  /**
   * How long runs may wait for a delivery, in ms, by type. Types that are not named have the `deliveryLimitMs` of this
   * process's own operations, else 24 hours.
   */
  readonly deliveryLimitMs?: Readonly<Record<string, number>>
}

/**
 * A schema's runs, as this process sees them: what wraps its handlers, and what operators ask. One per process is
 * enough. Once it did work it keeps its process alive until it is closed.
 */
export interface Ledger extends Reads {
  /**
   * Wraps a handler; writes nothing until there is a delivery. The sweeps of this ledger know its `deliveryLimitMs`
   * from then on.
   * @throws InvalidOptionError, also for a guard of another ledger
   */
  operation<P, R>(options: OperationOptions<P, R>): Operation<P, R>
  /**
   * Wraps the handler of work that belongs to a workspace. Every execution is a run, and so is every delivery that
   * overlaps one: `completed` as `skipped`, pointing to the run of its holder.
   * @throws InvalidOptionError, also for a guard that does not exclude
   */
  systemJob<P, R>(options: SystemJobOptions<P, R>): Operation<P, R>
  /**
   * Closes runs whose worker (`worker.lost`) or whose delivery (`delivery.lost`) is gone, and answers with them. It
   * starts no cooldown: work that comes again is admitted at once. Any number of processes may sweep; a run is closed once.
   */
  sweep(options?: SweepOptions): Promise<Run[]>
  /**
   * Deletes old runs, cooldown rows nobody needs any more, and terms that nothing names: in batches of at most 256
   * table blocks, each a transaction of its own. Open runs stay, and pruning re-admits nothing.
   * @throws InvalidOptionError
   */
  prune(options: PruneOptions): Promise<PruneReport>
  /**
   * Looks at the database, the migrations and the rights of its role (of a ledger without operations and guards: to
   * read), and opens the lock session of a guard in `session` mode; says what is wrong. Operations do it by themselves,
   * but a worker that asks before it takes jobs fails at its start, not with its first job. Looks again after a failure.
   * @throws DatabaseUnavailableError, DatabaseRefusedError, MissingMigrationError, NewerSchemaError,
   * LedgerClosedError; of `@opsledger/dedupe` TransactionPoolerError
   */
  ready(): Promise<void>
  /**
   * Takes no more work, aborts the signals of what still runs (`LedgerClosedError`), waits for it to settle, and
   * closes the library's connections and its guards'. What ignores its signal beyond `withinMs` is left to the next
   * worker. Closed again, it is the same closing. `withinMs` is 10,000 unless told: most handlers stop within seconds,
   * and orchestrators kill after 30.
   */
  close(options?: { withinMs?: number }): Promise<void>
  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

const runtimes = new WeakMap<object, Runtime>()

/** For packages that bring a guard. @throws InvalidOptionError */
export function runtimeOf(ledger: Ledger): Runtime {
  const runtime = runtimes.get(ledger)
  if (runtime === undefined) {
    const allowed = 'what `createLedger` returned, of the same copy of @opsledger/core'
    throw new InvalidOptionError('ledger', ledger, allowed)
  }
  return runtime
}

/** @throws InvalidOptionError, which shows none of the values */
function assertSecrets(secrets: readonly string[]): readonly string[] {
  if (Array.isArray(secrets) && secrets.every((secret) => typeof secret === 'string')) return secrets
  throw new InvalidOptionError('secrets', '(not shown)', 'an array of strings')
}

/**
 * Makes a ledger of its options alone: the database is looked at with the first use, or by `ready()`.
 * @throws InvalidOptionError
 */
export function createLedger(options: LedgerOptions): Ledger {
  assertKnownOptions('createLedger', options, OPTION_NAMES)
  const schema = assertSchemaName(options.schema ?? DEFAULT_SCHEMA)
  const leaseMs = options.leaseMs ?? DEFAULT_LEASE_MS
  if (!Number.isInteger(leaseMs) || leaseMs < MIN_LEASE_MS || leaseMs > MAX_LEASE_MS) {
    const allowed = `a whole number of milliseconds from ${MIN_LEASE_MS} to ${MAX_LEASE_MS}`
    throw new InvalidOptionError('leaseMs', leaseMs, allowed)
  }
  const connections = options.connections ?? DEFAULT_CONNECTIONS
  if (!Number.isInteger(connections) || connections < 1 || connections > 100) {
    throw new InvalidOptionError('connections', connections, 'a whole number from 1 to 100')
  }
  const progressEveryMs = assertDuration(
    'progressEveryMs',
    options.progressEveryMs ?? DEFAULT_PROGRESS_EVERY_MS,
    10,
  )
  const admissionTimeoutMs = assertDuration(
    'admissionTimeoutMs',
    options.admissionTimeoutMs ?? DEFAULT_ADMISSION_TIMEOUT_MS,
  )
  const settlementTimeoutMs = assertDuration(
    'settlementTimeoutMs',
    options.settlementTimeoutMs ?? DEFAULT_SETTLEMENT_TIMEOUT_MS,
  )
  assertOneWay(options)
  if (options.kysely !== undefined) assertKysely(options.kysely)
  const secrets = assertSecrets(options.secrets ?? [])

  const settings = options.kysely === undefined ? connectionSettings(options) : null
  const executor = explainRefusals(
    settings === null
      ? createKyselyExecutor(schema, options.kysely!)
      : createOwnExecutor(schema, settings, connections),
  )
  const executions = createExecutions()
  const readiness = createReadiness(schema, executor)
  const checks: (() => Promise<void>)[] = []
  const closers: (() => Promise<void>)[] = []
  let closing: Promise<void> | null = null

  const unlessClosed = async <T>(look: () => Promise<T>): Promise<T> => {
    if (closing !== null) throw new LedgerClosedError()
    try {
      return await look()
    } catch (error) {
      // Its connections were closed under it.
      throw closing === null ? error : new LedgerClosedError()
    }
  }
  /** Enough to read. */
  const readyToRead = () => unlessClosed(readiness.ready)
  const used: MigrationSet[] = [migrations]
  let mayWork: Promise<void> | null = null
  let isReady = false
  /** Looked at once, when there is something; and again after a failure. */
  const assertWorkable = () => {
    mayWork ??= assertMayWork(executor, schema, used).catch((error) => {
      mayWork = null
      throw error
    })
    return mayWork
  }

  const runtime: Runtime = {
    schema,
    executor,
    executions,
    term: createTerm(schema, executor, executions, leaseMs),
    leaseMs,
    host: hostname(),
    admissionTimeoutMs,
    settlementTimeoutMs,
    redactor: createRedactor({ secrets: [...secretsOf(settings), ...secrets] }),
    requireMigrations(set) {
      readiness.requireMigrations(set)
      used.push(set)
      mayWork = null
      isReady = false
    },
    ready: () =>
      unlessClosed(async () => {
        const facts = await readiness.ready()
        const needed = used.length
        await assertWorkable()
        isReady = needed === used.length
        return facts
      }),
    isReady: () => isReady,
    onReady: (check) => checks.push(check),
    onClose: (close) => closers.unshift(close),
    isClosed: () => closing !== null,
  }
  const reporter = createProgressReporter(runtime, progressEveryMs)
  const deliveryLimits: Record<string, number> = {}
  const guards = new Set<Guard>()

  /** A guard's sweep also frees the claims, and its prune deletes them; where an operation has one, it knows more. */
  const strongestGuard = () => [...guards].find((guard) => guard.excludes) ?? recordOnly

  const close = async (withinMs: number) => {
    for (const execution of executions.all()) execution.abort(new LedgerClosedError())
    await executions.drained(withinMs)
    reporter.close()
    try {
      for (const closeGuard of closers) await closeGuard()
      await runtime.term.close()
    } finally {
      await executor.close()
    }
  }

  const ledger: Ledger = {
    operation(operationOptions) {
      const plan = planOperation(operationOptions, ledger, recordOnly)
      deliveryLimits[plan.type] = operationOptions.deliveryLimitMs ?? DEFAULT_DELIVERY_LIMIT_MS
      guards.add(plan.guard)
      return createOperation(runtime, reporter, plan)
    },
    systemJob(jobOptions) {
      const plan = planSystemJob(jobOptions, ledger)
      deliveryLimits[plan.type] = jobOptions.deliveryLimitMs ?? DEFAULT_DELIVERY_LIMIT_MS
      guards.add(plan.guard)
      return createOperation(runtime, reporter, plan)
    },
    ...createReads(executor, readyToRead),
    async sweep(sweepOptions = {}) {
      assertKnownOptions('sweep', sweepOptions, ['workspaceId', 'deliveryLimitMs'])
      const { workspaceId, deliveryLimitMs = {} } = sweepOptions
      if (workspaceId !== undefined) assertText('workspaceId', workspaceId, MAX_SCOPE_ID_LENGTH)
      for (const [type, limitMs] of Object.entries(deliveryLimitMs))
        assertDuration(`deliveryLimitMs.${type}`, limitMs)
      await runtime.ready()
      const sweeper = strongestGuard()
      const swept: Run[] = []
      let after: SweepPlace | null = null
      do {
        const { runs, next }: SweptBatch = await sweeper.sweep({
          workspaceId: workspaceId ?? null,
          limits: { ...deliveryLimits, ...deliveryLimitMs },
          defaultLimitMs: DEFAULT_DELIVERY_LIMIT_MS,
          batch: SWEEP_BATCH,
          after,
        })
        for (const run of runs) publish('opsledger:run.swept', { schema, run })
        swept.push(...runs)
        after = next
      } while (after !== null)
      return swept
    },
    async prune(pruneOptions) {
      assertKnownOptions('prune', pruneOptions, ['runsOlderThanMs', 'claimsOlderThanMs', 'signal'])
      await runtime.ready()
      return pruneLedger(executor, schema, strongestGuard(), pruneOptions)
    },
    async ready() {
      const readsOnly = guards.size === 0 && used.length === 1
      await (readsOnly ? readyToRead() : runtime.ready())
      for (const check of checks) await check()
    },
    async close(closeOptions = {}) {
      assertKnownOptions('close', closeOptions, ['withinMs'])
      const withinMs = assertDuration('withinMs', closeOptions.withinMs ?? DEFAULT_CLOSE_TIMEOUT_MS)
      closing ??= close(withinMs)
      return closing
    },
    [Symbol.asyncDispose]: () => ledger.close(),
  }
  const recordOnly = createRecordOnlyGuard(runtime, ledger)
  runtimes.set(ledger, runtime)
  return ledger
}
