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
  ledger: { -readonly [K in keyof Omit<LedgerPicture, 'runs'>]: LedgerPicture[K] } = {
    pids: new Map(),
    leftRunning: [],
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
  frozen(pid: number, from: number, until: number) {
    this.interruptions.push({ pid, kind: 'frozen', from: at(from), until: at(until) })
    return this
  }

  evidence(): Evidence {
    return {
      marks: this.marks,
      crew: { interruptions: this.interruptions, fallen: this.fallen },
      modes: this.modes,
      deliveries: this.deliveries,
      ledger: { runs: [...this.runs.values()], ...this.ledger },
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

/** An attempt in a run's history: what threw has the counts that its section tells, what was lost has none. */
export function past(fence: number, deliveryId: string, outcome = 'failed'): PastPicture {
  const counted = outcome === 'lost' ? null : fence
  return {
    fence,
    workerId: `of fence ${fence}`,
    deliveryId,
    outcome,
    total: counted,
    processed: counted,
    failed: outcome === 'lost' ? null : 0,
  }
}
