import type { Evidence } from '../../src/arena/arena.ts'
import type { Answer, Ending, Mark } from '../../src/arena/journal.ts'
import type { LedgerPicture, PastPicture, RunPicture } from '../../src/arena/ledger-picture.ts'
import { type Guarantee, judge, type Rules, type Ruling } from '../../src/oracle/judge.ts'

const MS = 1_000_000n
const at = (ms: number) => BigInt(ms) * MS
/** Works have this cooldown in every story, in ms. */
const COOLDOWN_MS = 100

/** Evidence told mark by mark, in ms; what nobody spoils is a library that works. */
export class Story {
  readonly marks: Mark[] = []
  readonly runs = new Map<string, RunPicture>()
  readonly deliveries = new Map<
    string,
    Evidence['deliveries'] extends ReadonlyMap<string, infer D> ? D : never
  >()
  readonly interruptions: Evidence['crew']['interruptions'][number][] = []
  readonly fallen: string[] = []
  readonly modes = new Map<number, 'session' | 'lease'>()
  ledger: { -readonly [K in keyof Omit<LedgerPicture, 'runs' | 'pids'>]: LedgerPicture[K] } = {
    leftRunning: [],
    retiredLeases: [],
    heldByLiving: [],
    heldClaims: 0,
    sweptFirst: 0,
    sweptAgain: 0,
    connectionsLeft: 0,
    text: '',
  }
  rules: Rules = { cooldownMs: () => COOLDOWN_MS }

  with(rules: Partial<Rules>) {
    this.rules = { ...this.rules, ...rules }
    return this
  }
  delivery(deliveryId: string, { work = 'w', isComplete = true, open = 0 } = {}) {
    this.deliveries.set(deliveryId, { deliveryId, work, handed: 1, open, isComplete })
    return this
  }
  /** Counts as many items as its fence says; `to` is null for one that was cut off. */
  section(
    fence: number,
    from: number,
    to: number | null,
    { deliveryId = 'd1', runId = 'r1', work = 'w', ending = 'returned' as Ending, pid = 1 } = {},
  ) {
    const counts = { total: fence, processed: fence, failed: 0 }
    this.marks.push({ mark: 'started', at: at(from), pid, work, fence, runId, attempt: 1, deliveryId })
    if (to !== null) this.marks.push({ mark: 'ended', at: at(to), pid, fence, ending, counts })
    return this
  }
  /** A lease of this process ran out, and was retired. */
  retired(pid: number, when: number) {
    this.ledger.retiredLeases = [...this.ledger.retiredLeases, { pid, expiresAt: at(when) }]
    return this
  }
  /** The handler of this attempt is about to settle it in a transaction of its own. */
  settling(fence: number, when: number, { pid = 1 } = {}) {
    this.marks.push({ mark: 'settling', at: at(when), pid, fence })
    return this
  }
  answer(deliveryId: string, when: number, answer: Answer, { work = 'w', asked = when, pid = 1 } = {}) {
    this.marks.push({ mark: 'answered', at: at(when), askedAt: at(asked), pid, work, deliveryId, answer })
    return this
  }
  executed(
    deliveryId: string,
    when: number,
    fence: number,
    settlement: 'settled' | 'already_settled' | 'superseded' | 'unconfirmed' = 'settled',
    {
      isHandedBack = false,
      ...how
    }: { isHandedBack?: boolean; work?: string; asked?: number; pid?: number } = {},
  ) {
    return this.answer(
      deliveryId,
      when,
      { kind: 'executed', fence, settlement, isHandedBack },
      { asked: 0, ...how },
    )
  }
  skipped(
    deliveryId: string,
    when: number,
    reason: 'overlap' | 'cooldown' | 'already_terminal' | 'lock_busy' | 'not_canonical',
    by: { fence: number; deliveryId: string; pid?: number } | null = null,
    {
      action = 'discard' as 'discard' | 'retry_later',
      runId = 'r1',
      ...how
    }: {
      action?: 'discard' | 'retry_later'
      runId?: string | null
      work?: string
      asked?: number
      pid?: number
    } = {},
  ) {
    const holder =
      by === null
        ? null
        : { runId: 'r1', attempt: 1, workerId: 'x', host: null, pid: null, since: new Date(0), ...by }
    return this.answer(deliveryId, when, { kind: 'skipped', reason, action, holder, runId }, how)
  }
  unavailable(
    deliveryId: string,
    when: number,
    code: string,
    sqlState: string | null = null,
    message = 'away',
  ) {
    return this.answer(deliveryId, when, { kind: 'unavailable', code, sqlState, message })
  }
  run(id: string, fence: number | null, picture: Partial<RunPicture> = {}) {
    this.runs.set(id, {
      id,
      status: 'completed',
      outcome: 'succeeded',
      fence,
      counts: { total: fence ?? 0, processed: fence ?? 0, failed: 0 },
      reasonCode: null,
      history: [],
      ...picture,
    })
    return this
  }
  killed(pid: number, when: number) {
    this.interruptions.push({ pid, kind: 'killed', from: at(when), until: null })
    return this
  }
  frozen(pid: number, from: number, until: number | null) {
    this.interruptions.push({ pid, kind: 'frozen', from: at(from), until: until === null ? null : at(until) })
    return this
  }
  fell(pid: number, when: number) {
    this.marks.push({ mark: 'fell', at: at(when), pid, why: 'unhandledRejection' })
    return this
  }

  evidence(): Evidence {
    const pids = new Set([...this.marks, ...this.interruptions].map(({ pid }) => pid))
    return {
      marks: this.marks,
      crew: { interruptions: this.interruptions, fallen: this.fallen },
      modes: this.modes,
      deliveries: this.deliveries,
      ledger: {
        ...this.ledger,
        runs: [...this.runs.values()],
        pids: new Map([...pids].map((pid) => [workerOf(pid), pid])),
      },
    }
  }
  ruling(): Ruling {
    return judge(this.evidence(), this.rules)
  }
  /** What is said against it, in words. */
  findings(): string {
    return this.ruling()
      .violations.map(({ guarantee, what }) => `${guarantee}: ${what}`)
      .join('\n')
  }
  broken(): Guarantee[] {
    return [...new Set(this.ruling().violations.map(({ guarantee }) => guarantee))]
  }
}

const workerOf = (pid: number) => `worker of process ${pid}`

/** An attempt in a run's history: what threw has the counts that its section tells, what was lost has none. */
export function past(fence: number, deliveryId: string, outcome = 'failed', pid = 1): PastPicture {
  const counted = outcome === 'lost' ? null : fence
  return {
    fence,
    workerId: workerOf(pid),
    deliveryId,
    outcome,
    total: counted,
    processed: counted,
    failed: outcome === 'lost' ? null : 0,
  }
}

/** One delivery, one section, one run; its duplicate was refused. */
export const good = () =>
  new Story()
    .delivery('d1')
    .delivery('d2')
    .section(1, 0, 10)
    .executed('d1', 11, 1)
    .skipped('d2', 20, 'cooldown', { fence: 1, deliveryId: 'd1' })
    .run('r1', 1)

/** The first attempt threw, the second one succeeded. */
export const retried = () =>
  new Story()
    .delivery('d1')
    .section(1, 0, 10, { ending: 'threw' })
    .executed('d1', 11, 1)
    .section(2, 20, 30)
    .executed('d1', 31, 2, 'settled', { asked: 19 })
    .run('r1', 2, { history: [past(1, 'd1')] })

/** As a refusal is told to come again later. */
export const LATER = { action: 'retry_later' } as const
