import type { TestProject } from 'vitest/node'
import { dropRunDatabases, dropStaleDatabases } from '../database/drop-databases.ts'
import { findServer } from '../database/find-server.ts'
import { createRunId } from '../database/names.ts'
import type { ServerKind } from '../database/server.ts'

export interface ProvidedServer {
  url: string
  runId: string
  kind: ServerKind
  version: string
}

declare module 'vitest' {
  interface ProvidedContext {
    opsledgerServer: ProvidedServer
  }
}

/** One server for the whole run. Named at the root of the Vitest config, where it runs once for all projects. */
export default async function startServer(project: TestProject): Promise<() => Promise<void>> {
  const server = await findServer()
  const host = { url: server.url, runId: createRunId() }
  // Only a server that outlives its runs can hold what dead ones left.
  if (server.kind === 'url') await dropStaleDatabases(host)
  project.provide('opsledgerServer', { ...host, kind: server.kind, version: server.version })
  return async () => {
    if (server.kind === 'url') await dropRunDatabases(host)
    await server.stop()
  }
}
