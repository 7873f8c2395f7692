export { dropRunDatabases, dropStaleDatabases } from './database/drop-databases.ts'
export {
  DEFAULT_EMBEDDED_SETTINGS,
  type EmbeddedServer,
  startEmbeddedServer,
} from './database/embedded-server.ts'
export { type FindServerOptions, findServer } from './database/find-server.ts'
export { findFreePort } from './database/free-port.ts'
export { embeddedVersion, type OlderMajor, olderMajor, POSTGRES_MAJORS } from './database/majors.ts'
export type { DatabaseHost, RestartMode, Server, ServerKind } from './database/server.ts'
export { createDatabase, createTemplate, type Database, type Template } from './database/template.ts'
export { maskPassword } from './database/urls.ts'
export { type Journal, type JournalMark, type Nanos, nanos, openJournal, readJournal } from './journal.ts'
export type { PgBouncerSettings } from './pgbouncer/configuration.ts'
export { findPgBouncer } from './pgbouncer/find-pgbouncer.ts'
export { type PgBouncer, startPgBouncer } from './pgbouncer/start-pgbouncer.ts'
export { type ProcessExit, startWorker, type WorkerOptions, WorkerProcess } from './processes.ts'
export {
  type PostgresProxy,
  type ProxyDirection,
  type ProxyHook,
  type ProxyOptions,
  type ProxyVerdict,
  startProxy,
} from './proxy.ts'
export { type Random, randomFrom, seedOf } from './random.ts'
export { catalogOf } from './schema-catalog.ts'
export {
  countStatements,
  countWritingTransactions,
  type StatementCounts,
  type StatementLog,
  startStatementLog,
} from './statement-log.ts'
export { type BlockedBackend, eventually, waitUntilBlocked } from './waits.ts'
