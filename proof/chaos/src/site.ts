import { type EmbeddedServer, type RestartMode, startEmbeddedServer } from '@opsledger/testing'

/** The place where the faults happen: a Postgres of the harness's own, or the one that a URL names. */
export interface Site {
  readonly url: string
  readonly description: string
  /** Null where the server is somebody else's: nobody restarts that. */
  readonly restart: ((mode: RestartMode) => Promise<void>) | null
  [Symbol.asyncDispose](): Promise<void>
}

export async function openSite(url: string | null): Promise<Site> {
  if (url !== null) {
    return {
      url,
      description: 'the server of the given URL',
      restart: null,
      [Symbol.asyncDispose]: async () => {},
    }
  }
  const server: EmbeddedServer = await startEmbeddedServer({ settings: { max_connections: '300' } })
  return {
    url: server.url,
    description: server.describe(),
    restart: (mode) => server.restart(mode),
    [Symbol.asyncDispose]: () => server.stop(),
  }
}
