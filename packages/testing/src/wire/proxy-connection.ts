import type { Socket } from 'node:net'
import type { ProxyDirection, ProxyVerdict } from '../proxy.ts'

type Judge = (chunk: Buffer) => ProxyVerdict

/** The two sockets of one proxied connection. */
export class ProxyConnection {
  readonly closed: Promise<void>
  readonly #client: Socket
  readonly #upstream: Socket
  readonly #held = new Set<ProxyDirection>()

  constructor(client: Socket, upstream: Socket, judges: Record<ProxyDirection, Judge>) {
    this.#client = client
    this.#upstream = upstream
    this.#forward('to-server', judges['to-server'])
    this.#forward('to-client', judges['to-client'])
    this.closed = Promise.all([closeOf(client), closeOf(upstream)]).then(() => {})
  }

  pause(direction: ProxyDirection): void {
    this.#held.add(direction)
    this.#source(direction).pause()
  }

  resume(direction: ProxyDirection): void {
    this.#held.delete(direction)
    this.#source(direction).resume()
    // While held, the end of one side was kept from the other.
    for (const [one, other] of [
      [this.#client, this.#upstream],
      [this.#upstream, this.#client],
    ] as const) {
      if (one.destroyed && this.#held.size === 0) other.destroy()
    }
  }

  cut(): void {
    for (const socket of [this.#client, this.#upstream]) {
      if (socket.connecting) socket.destroy()
      else socket.resetAndDestroy()
    }
  }

  #source(direction: ProxyDirection): Socket {
    return direction === 'to-server' ? this.#client : this.#upstream
  }

  #forward(direction: ProxyDirection, judge: Judge): void {
    const source = this.#source(direction)
    const sink = direction === 'to-server' ? this.#upstream : this.#client
    let isSilent = false
    source.on('data', (chunk: Buffer) => {
      const verdict = judge(chunk)
      if (verdict === 'cut') return this.cut()
      isSilent ||= verdict === 'drop'
      if (!isSilent && !sink.write(chunk)) source.pause()
    })
    sink.on('drain', () => {
      if (!this.#held.has(direction)) source.resume()
    })
    source.on('end', () => sink.end())
    source.on('error', () => {})
    source.on('close', () => {
      if (this.#held.size === 0) sink.destroySoon()
    })
  }
}

const closeOf = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.closed) resolve()
    else socket.once('close', () => resolve())
  })
