import type { Executor, ServerFacts } from './database/executor.ts'
import { assertMigrated, inspectServer } from './database/inspect-server.ts'
import { migrations } from './migrations/index.ts'
import type { MigrationSet } from './migrations/migration.ts'
import type { Redactor } from './redaction/redactor.ts'
import type { Executions } from './worker/executions.ts'
import type { Term } from './worker/term.ts'

/** What a ledger is made of, shared by its operations and its guards. */
export interface Runtime {
  readonly schema: string
  readonly executor: Executor
  readonly executions: Executions
  readonly term: Term
  readonly leaseMs: number
  /** This machine's name, as leases give it. */
  readonly host: string
  readonly admissionTimeoutMs: number
  readonly settlementTimeoutMs: number
  readonly redactor: Redactor
  /** Resolves when the server was looked at and all needed migrations are there; looks again after a failure. */
  ready(): Promise<ServerFacts>
  /** Whether that has been found once, for all that is needed by now: each delivery asks. */
  isReady(): boolean
  /** A guard's migrations are needed too. */
  requireMigrations(set: MigrationSet): void
  /** What a guard looks at when the host asks whether the ledger is ready. */
  onReady(check: () => Promise<void>): void
  /** Called once, in reverse order, when the ledger closes and nothing executes any more. */
  onClose(close: () => Promise<void>): void
  isClosed(): boolean
}

/** Looks at the server and at the migrations once; what failed is looked at again at the next call. */
export function createReadiness(schema: string, executor: Executor) {
  const needed: MigrationSet[] = [migrations]
  let facts: Promise<ServerFacts> | null = null
  const checked = new Map<MigrationSet, Promise<void>>()

  return {
    requireMigrations(set: MigrationSet) {
      if (!needed.includes(set)) needed.push(set)
    },
    async ready(): Promise<ServerFacts> {
      facts ??= inspectServer(executor).catch((error) => {
        facts = null
        throw error
      })
      const found = await facts
      for (const set of needed) {
        let check = checked.get(set)
        if (check === undefined) {
          check = assertMigrated(executor, schema, set).catch((error) => {
            checked.delete(set)
            throw error
          })
          checked.set(set, check)
        }
        await check
      }
      return found
    },
  }
}
