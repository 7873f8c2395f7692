import { BackendReader, FrontendReader, readText } from './messages.ts'

export interface WireEvents {
  /** A statement was sent: a simple query, or the execution of a bound one. */
  onStatement?(sql: string): void
  /** The client had nothing outstanding and now has. */
  onRoundTrip?(): void
  /** ReadyForQuery: `I` outside a transaction, `T` inside, `E` inside a failed one. */
  onReady?(status: string): void
}

/** Follows both directions of one connection and knows which text belongs to which execution. */
export class Conversation {
  readonly #events: WireEvents
  readonly #frontend = new FrontendReader()
  readonly #backend = new BackendReader()
  /** Prepared statements by name, and portals by name, each with its SQL text. */
  readonly #prepared = new Map<string, string>()
  readonly #portals = new Map<string, string>()
  #outstanding = 0
  #isAuthenticated = false

  constructor(events: WireEvents) {
    this.#events = events
  }

  /** Requests sent whose ReadyForQuery has not come. */
  get outstanding(): number {
    return this.#outstanding
  }

  fromClient(chunk: Buffer): void {
    for (const { type, body } of this.#frontend.read(chunk, () => this.#backend.expectBareByte())) {
      if (type === 'P') {
        const name = readText(body, 0)
        this.#prepared.set(name.text, readText(body, name.next).text)
      } else if (type === 'B') {
        const portal = readText(body, 0)
        this.#portals.set(portal.text, this.#prepared.get(readText(body, portal.next).text) ?? '')
      } else if (type === 'E') {
        this.#events.onStatement?.(this.#portals.get(readText(body, 0).text) ?? '')
      } else if (type === 'Q') {
        this.#events.onStatement?.(readText(body, 0).text)
        this.#begin()
      } else if (type === 'S') {
        this.#begin()
      }
    }
  }

  fromServer(chunk: Buffer): void {
    for (const { type, body } of this.#backend.read(chunk)) {
      if (type !== 'Z') continue
      if (!this.#isAuthenticated) {
        this.#isAuthenticated = true // the end of the start-up, not of a request
        continue
      }
      this.#outstanding -= 1
      this.#events.onReady?.(String.fromCharCode(body[0]!))
    }
  }

  #begin(): void {
    if (this.#outstanding === 0) this.#events.onRoundTrip?.()
    this.#outstanding += 1
  }
}
