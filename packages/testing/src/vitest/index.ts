export type { ProvidedServer } from './global-setup.ts'
export { startWorker } from './start-worker.ts'
export { type TestDatabase, useDatabase } from './use-database.ts'
