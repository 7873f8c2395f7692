import { createServer, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const PAGE_SIZE = 5
const PAGES = 6
export const ASSIGNMENTS_PER_POLICY = PAGE_SIZE * PAGES
/** How long the provider thinks about each request: long enough to watch. */
const LATENCY_MS = 80

interface ScriptedAnswer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body: object
}

interface Hold extends Disposable {
  /** The request is here. */
  readonly reached: Promise<void>
  release(): void
}

/** The service that the assignments come from, played on loopback. Paths are `GET /policies/…?page=2`. */
export interface Provider extends AsyncDisposable {
  readonly url: string
  /** What the next requests to this path are answered, in this order; null and all later ones: as usual. */
  script(path: string, ...answers: (ScriptedAnswer | null)[]): void
  /** The next request to this path waits for `release`, or for the end of the block. */
  hold(path: string): Hold
  /** When the requests to this path came, by `performance.now()`. */
  requestsAt(path: string): readonly number[]
  /** Ids of the adapter runs that were opened here and not closed. */
  openSessions(): string[]
}

/** The first `brokenItems` of the page have no target: nobody can say who is assigned. */
export function assignmentPage(policy: string, page: number, brokenItems = 0) {
  const items = Array.from({ length: PAGE_SIZE }, (_, n) => {
    const id = `${policy}-${(page - 1) * PAGE_SIZE + n + 1}`
    return { id, target: n < brokenItems ? null : `user-of-${id}` }
  })
  return { total: ASSIGNMENTS_PER_POLICY, items, nextPage: page < PAGES ? page + 1 : null }
}

export async function startProvider(): Promise<Provider> {
  const scripts = new Map<string, (ScriptedAnswer | null)[]>()
  const holds = new Map<string, { reached: () => void; released: Promise<void> }>()
  const requests = new Map<string, number[]>()
  const sessions = new Set<string>()

  const usual = (path: string): ScriptedAnswer => {
    const [, policy, page] = /^GET \/policies\/([\w-]+)\/assignments\?page=(\d+)$/.exec(path) ?? []
    if (policy !== undefined) return { status: 200, body: assignmentPage(policy, Number(page)) }
    const [, verb, session] = /^(PUT|DELETE) \/adapter-runs\/([\w-]+)$/.exec(path) ?? []
    if (verb === 'PUT') sessions.add(session!)
    if (verb === 'DELETE') sessions.delete(session!)
    return { status: 200, body: {} }
  }

  const answer = async (path: string, response: ServerResponse) => {
    requests.set(path, [...(requests.get(path) ?? []), performance.now()])
    const hold = holds.get(path)
    holds.delete(path)
    hold?.reached()
    await Promise.all([sleep(LATENCY_MS), hold?.released])
    const { status, headers, body } = scripts.get(path)?.shift() ?? usual(path)
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
  }
  const server = createServer(
    (request, response) => void answer(`${request.method} ${request.url}`, response),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    script: (path, ...answers) => void scripts.set(path, answers),
    hold(path) {
      const reached = Promise.withResolvers<void>()
      const released = Promise.withResolvers<void>()
      holds.set(path, { reached: reached.resolve, released: released.promise })
      const release = released.resolve
      return { reached: reached.promise, release, [Symbol.dispose]: release }
    },
    requestsAt: (path) => requests.get(path) ?? [],
    openSessions: () => [...sessions],
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}
