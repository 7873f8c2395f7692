import { createServer, type Socket, connect as tcpConnect } from 'node:net'
import { ProxyConnection } from './wire/proxy-connection.ts'
import { loseReplies, type ReplyLoss } from './wire/reply-loss.ts'

/**
 * `drop` swallows this chunk and all later ones of its direction: the other side stays connected and hears
 * nothing more. `cut` swallows it and destroys the connection on both sides.
 */
export type ProxyVerdict = 'pass' | 'drop' | 'cut'
export type ProxyHook = (connectionId: number, chunk: Buffer) => ProxyVerdict | undefined
export type ProxyDirection = 'to-server' | 'to-client'

export interface ProxyOptions {
  onClientData?: ProxyHook
  onServerData?: ProxyHook
}

/** A TCP proxy on loopback in front of a Postgres, for faults on the network. Plain connections only, no TLS. */
export interface PostgresProxy extends AsyncDisposable {
  /** As the target's, by way of the proxy. */
  readonly url: string
  readonly connections: number
  /** Replace a hook, or remove it with null. */
  onClientData(hook: ProxyHook | null): void
  onServerData(hook: ProxyHook | null): void
  /**
   * A black hole: bytes, and the news that a side hung up, stay in the proxy until `resume`. New connections
   * are accepted and hear nothing. Both directions unless told otherwise.
   */
  pause(direction?: ProxyDirection): void
  resume(direction?: ProxyDirection): void
  /** Destroys all connections with a reset; new ones are served. */
  cut(): void
  /**
   * The next statement whose SQL fits runs to its end on the server (committed, unless it is inside a transaction)
   * and its reply is lost: the connection is cut, or with `drop` just falls silent for the client.
   * `done` settles when the server has answered: await it before looking at the effect.
   */
  loseReplyOf(isMeant: (sql: string) => boolean, how?: 'cut' | 'drop'): { done: Promise<void> }
  stop(): Promise<void>
}

export async function startProxy(targetUrl: string, options: ProxyOptions = {}): Promise<PostgresProxy> {
  const target = new URL(targetUrl)
  const targetAddress = { host: target.hostname, port: Number(target.port || 5432) }
  const connections = new Set<ProxyConnection>()
  const losses = new Set<ReplyLoss>()
  const paused = new Set<ProxyDirection>()
  let { onClientData = null, onServerData = null }: { [K in keyof ProxyOptions]?: ProxyHook | null } = options
  let lastId = 0

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client: Socket) => {
    const id = ++lastId
    const upstream = tcpConnect({ ...targetAddress, allowHalfOpen: true, noDelay: true })
    const wire = loseReplies(losses)
    const connection = new ProxyConnection(client, upstream, {
      'to-server': (chunk) => {
        const verdict = onClientData?.(id, chunk) ?? 'pass'
        if (verdict === 'pass') wire.fromClient(chunk)
        return verdict
      },
      'to-client': (chunk) => {
        const verdict = onServerData?.(id, chunk) ?? 'pass'
        return verdict === 'pass' ? wire.fromServer(chunk) : verdict
      },
    })
    connections.add(connection)
    connection.closed.then(() => connections.delete(connection))
    for (const direction of paused) connection.pause(direction)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })

  const url = new URL(targetUrl)
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as { port: number }).port)

  const directions = (one?: ProxyDirection): ProxyDirection[] => (one ? [one] : ['to-server', 'to-client'])
  const cut = () => {
    for (const connection of connections) connection.cut()
  }
  const stop = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    cut()
    await closed
  }
  return {
    url: url.href,
    get connections() {
      return connections.size
    },
    onClientData: (hook) => {
      onClientData = hook
    },
    onServerData: (hook) => {
      onServerData = hook
    },
    pause: (direction) => {
      for (const one of directions(direction)) {
        paused.add(one)
        for (const connection of connections) connection.pause(one)
      }
    },
    resume: (direction) => {
      for (const one of directions(direction)) {
        paused.delete(one)
        for (const connection of connections) connection.resume(one)
      }
    },
    cut,
    loseReplyOf: (isMeant, how = 'cut') => {
      const { promise, resolve } = Promise.withResolvers<void>()
      losses.add({ isMeant, how, onDone: resolve })
      return { done: promise }
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
