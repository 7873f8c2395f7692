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
export { type ProcessExit, startWorker, type WorkerOptions, WorkerProcess } from './processes.ts'
export {
  type PostgresProxy,
  type ProxyDirection,
  type ProxyHook,
  type ProxyOptions,
  type ProxyVerdict,
  startProxy,
} from './proxy.ts'
export {
  countStatements,
  countWritingTransactions,
  type StatementCounts,
  type StatementLog,
  startStatementLog,
} from './statement-log.ts'
export { type BlockedBackend, eventually, waitUntilBlocked } from './waits.ts'
