import { startEmbeddedServer } from '@opsledger/testing'

/** The server that is measured. */
export interface Site {
  readonly url: string
  /** Without the version where the server is somebody else's: nobody has asked it yet. */
  readonly description: string
  /** Ours alone, so that its settings may be chosen. */
  readonly isOwn: boolean
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Default durability: nothing is set that makes commits cheaper. Connections are raised because the cases that hold one
 * per job would fail for a reason of their own at the usual hundred.
 */
const SETTINGS = { max_connections: '300' }

export async function openSite(url: string | null, settings: Record<string, string> = {}): Promise<Site> {
  if (url !== null) {
    return {
      url,
      description: 'the given URL',
      isOwn: false,
      [Symbol.asyncDispose]: async () => {},
    }
  }
  const server = await startEmbeddedServer({ settings: { ...SETTINGS, ...settings } })
  return {
    url: server.url,
    description: server.describe(),
    isOwn: true,
    [Symbol.asyncDispose]: () => server.stop(),
  }
}
