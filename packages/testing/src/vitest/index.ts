export type { ProvidedServer } from './global-setup.ts'
export { serverChecksPasswords, serverMajor } from './server-facts.ts'
export { startWorker } from './start-worker.ts'
export { type TestDatabase, useDatabase } from './use-database.ts'
