/**
 * Cuts one direction of a Postgres connection (protocol 3) into messages, in whatever pieces it arrives.
 * The client's first messages have no type byte: they are told here as type `''`.
 */
export interface WireMessage {
  /** One letter as in the protocol's documentation: `Q`, `P`, `E`, `S`; `Z`, `C` and so on. */
  type: string
  body: Buffer
}

const ENCRYPTION_REQUESTS = new Set([80_877_103, 80_877_104])
const CANCEL_REQUEST = 80_877_102

export class FrontendReader {
  #rest: Buffer = Buffer.alloc(0)
  #started = false

  /** `onEncryptionRequest`: the server answers this with one bare byte instead of a message. */
  read(chunk: Buffer, onEncryptionRequest: () => void): WireMessage[] {
    this.#rest = Buffer.concat([this.#rest, chunk])
    const messages: WireMessage[] = []
    while (!this.#started && this.#rest.length >= 8) {
      const length = this.#rest.readInt32BE(0)
      if (this.#rest.length < length) break
      const code = this.#rest.readInt32BE(4)
      messages.push({ type: '', body: this.#rest.subarray(4, length) })
      this.#rest = this.#rest.subarray(length)
      if (ENCRYPTION_REQUESTS.has(code)) onEncryptionRequest()
      else this.#started = code !== CANCEL_REQUEST
    }
    if (this.#started) this.#rest = takeMessages(this.#rest, messages)
    return messages
  }
}

export class BackendReader {
  #rest: Buffer = Buffer.alloc(0)
  #bareBytes = 0

  expectBareByte(): void {
    this.#bareBytes += 1
  }

  read(chunk: Buffer): WireMessage[] {
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#bareBytes > 0 && this.#rest.length > 0) {
      if (this.#rest[0] !== 0x4e)
        throw new Error('The connection is encrypted: use sslmode=disable in this test')
      this.#bareBytes -= 1
      this.#rest = this.#rest.subarray(1)
    }
    const messages: WireMessage[] = []
    this.#rest = takeMessages(this.#rest, messages)
    return messages
  }
}

/** Appends the complete messages and returns what is left. */
function takeMessages(bytes: Buffer, messages: WireMessage[]): Buffer {
  let rest = bytes
  while (rest.length >= 5) {
    const end = 1 + rest.readInt32BE(1)
    if (rest.length < end) break
    messages.push({ type: String.fromCharCode(rest[0]!), body: rest.subarray(5, end) })
    rest = rest.subarray(end)
  }
  return rest
}

/** The zero-terminated text that starts at `offset`, and where the next field begins. */
export function readText(body: Buffer, offset: number): { text: string; next: number } {
  const end = body.indexOf(0, offset)
  return { text: body.toString('utf8', offset, end), next: end + 1 }
}
