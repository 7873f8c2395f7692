import { startProxy } from '@opsledger/testing'
import { type Nanos, nanos } from '../arena/journal.ts'

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
  let lastSent = ''
  proxy.onClientData((_, chunk) => {
    lastSent = chunk.toString('utf8')
    return 'pass'
  })
  return {
    url: proxy.url,
    async steal(call, how) {
      let sent = ''
      const loss = proxy.loseReplyOf((sql) => {
        if (!sql.includes(`."${call}"(`)) return false
        sent = lastSent
        return true
      }, how)
      await loss.done
      return {
        call,
        how,
        at: nanos(),
        deliveryIds: call === 'admit' ? valuesOf('delivery_id', sent).map((id) => JSON.parse(id)) : [],
        fences: call === 'settle' ? valuesOf('fence', sent).map(Number) : [],
      }
    },
    [Symbol.asyncDispose]: () => proxy.stop(),
  }
}

/** Of a member of every object in a JSON text. */
function valuesOf(name: string, text: string): string[] {
  return [...text.matchAll(new RegExp(`"${name}":("[^"]*"|\\d+)`, 'g'))].map((match) => match[1]!)
}
