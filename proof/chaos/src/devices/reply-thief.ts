import { type Nanos, nanos, startProxy } from '@opsledger/testing'

export type StolenCall = 'admit' | 'settle'

/** A statement that ran to its end in the database, and whose answer never came back. */
export interface LostReply {
  readonly call: StolenCall
  /** `cut`: the connection ended instead. `drop`: it just fell silent. */
  readonly how: 'cut' | 'drop'
  /** When the database had answered. */
  readonly at: Nanos
  /** What an admission asked for. */
  readonly deliveryIds: readonly string[]
  /** What a settlement was to settle. */
  readonly fences: readonly number[]
}

/** A TCP proxy in front of the database that loses replies when it is told to. */
export interface ReplyThief extends AsyncDisposable {
  /** The database by way of the proxy. */
  readonly url: string
  /** The reply of the next such call, whoever sends it first. */
  steal(call: StolenCall, how: LostReply['how']): Promise<LostReply>
}

export async function openReplyThief(url: string): Promise<ReplyThief> {
  const proxy = await startProxy(url)
  // The whole statement with its parameters comes in one write: what it asks for can be read from it.
  let lastSent: Buffer = Buffer.alloc(0)
  proxy.onClientData((_, chunk) => {
    lastSent = chunk
    return 'pass'
  })
  return {
    url: proxy.url,
    async steal(call, how) {
      let sent: Buffer = lastSent
      const loss = proxy.loseReplyOf((sql) => {
        if (!CALLS[call].test(sql)) return false
        sent = lastSent
        return true
      }, how)
      await loss.done
      return {
        call,
        how,
        at: nanos(),
        deliveryIds: call === 'admit' ? boundIn(sent).flatMap(deliveriesIn) : [],
        fences: call === 'settle' ? boundIn(sent).flatMap(fencesIn) : [],
      }
    },
    [Symbol.asyncDispose]: () => proxy.stop(),
  }
}

const CALLS: Record<StolenCall, RegExp> = {
  admit: /\."admit(_unopposed|_one)?"\(/,
  settle: /\."settle(_one)?"\(/,
}

/** Where `admit_unopposed` has the deliveries, as a list side by side with others, and `admit_one` its only one. */
const DELIVERIES_PLACE = 5
const FENCE_PLACE_OF_ONE = 2

/** `settle` is sent a JSON text of everything; `settle_one` each value. */
function fencesIn(parameters: readonly string[]): number[] {
  const [first = ''] = parameters
  if (first.startsWith('[')) return valuesOf('fence', first).map(Number)
  // Other statements of the same connection are sent in the same breath.
  return parameters.length === 12 ? [Number(parameters[FENCE_PLACE_OF_ONE])] : []
}

/** `admit` is sent a JSON text of everything; `admit_unopposed` a list of each, `admit_one` each value. */
function deliveriesIn(parameters: readonly string[]): string[] {
  if (parameters[0]?.startsWith('[')) {
    return valuesOf('delivery_id', parameters[0]).map((id) => JSON.parse(id))
  }
  // Other statements of the same connection are sent in the same breath.
  const sent = parameters[DELIVERIES_PLACE]
  if (sent === undefined) return []
  return sent.startsWith('{') ? JSON.parse(`[${sent.slice(1, -1)}]`) : [sent]
}

/**
 * The parameters of each Bind message in what a client sent, as text: portal and statement name, formats, then each
 * value after its length (PostgreSQL: Frontend/Backend Protocol, Message Formats).
 */
function boundIn(sent: Buffer): string[][] {
  const bound: string[][] = []
  for (let at = 0; at + 5 <= sent.length; at += 1 + sent.readInt32BE(at + 1)) {
    if (sent[at] !== 0x42) continue
    let place = sent.indexOf(0, sent.indexOf(0, at + 5) + 1) + 1
    place += 2 + 2 * sent.readInt16BE(place)
    const count = sent.readInt16BE(place)
    place += 2
    bound.push(
      Array.from({ length: count }, () => {
        const length = sent.readInt32BE(place)
        const value = length < 0 ? '' : sent.toString('utf8', place + 4, place + 4 + length)
        place += 4 + Math.max(0, length)
        return value
      }),
    )
  }
  return bound
}

/** Of a member of every object in a JSON text. */
function valuesOf(name: string, text: string): string[] {
  return [...text.matchAll(new RegExp(`"${name}":("[^"]*"|\\d+)`, 'g'))].map((match) => match[1]!)
}
