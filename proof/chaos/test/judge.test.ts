import { describe, expect, test } from 'vitest'
import type { Evidence } from '../src/arena/arena.ts'
import type { Answer, Ending, Mark } from '../src/arena/journal.ts'
import type { RunPicture } from '../src/arena/ledger-picture.ts'
import { SECRET } from '../src/arena/secret.ts'
import { type Guarantee, judge } from '../src/oracle/judge.ts'

const MS = 1_000_000n
const RULES = { cooldownMs: () => 100 }

/** A story told mark by mark; what nobody spoils is a library that works. */
class Story {
  readonly marks: Mark[] = []
  readonly runs = new Map<string, RunPicture>()
  readonly deliveries = new Map<
    string,
    { deliveryId: string; work: string; handed: number; open: number; isComplete: boolean }
  >()
  readonly interruptions: Evidence['crew']['interruptions'][number][] = []
  readonly fallen: string[] = []
  ledger = { heldClaims: 0, sweptFirst: 0, sweptAgain: 0, connectionsLeft: 0, text: '' }

  delivery(deliveryId: string, work = 'w', isComplete = true) {
    this.deliveries.set(deliveryId, { deliveryId, work, handed: 1, open: 0, isComplete })
    return this
  }
  section(
    fence: number,
    from: number,
    to: number | null,
    { deliveryId = 'd1', runId = 'r1', work = 'w', ending = 'returned' as Ending, pid = 1 } = {},
  ) {
    const counts = { total: fence, processed: fence, failed: 0 }
    this.marks.push({
      mark: 'started',
      at: BigInt(from) * MS,
      pid,
      work,
      fence,
      runId,
      attempt: 1,
      deliveryId,
    })
    if (to !== null) this.marks.push({ mark: 'ended', at: BigInt(to) * MS, pid, fence, ending, counts })
    return this
  }
  answer(deliveryId: string, at: number, answer: Answer, work = 'w') {
    this.marks.push({
      mark: 'answered',
      at: BigInt(at) * MS,
      askedAt: BigInt(at) * MS,
      pid: 1,
      work,
      deliveryId,
      answer,
    })
    return this
  }
  executed(
    deliveryId: string,
    at: number,
    fence: number,
    settlement: 'settled' | 'superseded' | 'unconfirmed' = 'settled',
  ) {
    return this.answer(deliveryId, at, { kind: 'executed', fence, settlement, isHandedBack: false })
  }
  skipped(
    deliveryId: string,
    at: number,
    reason: 'overlap' | 'cooldown' | 'already_terminal',
    by?: { fence: number; deliveryId: string },
  ) {
    const holder =
      by === undefined
        ? null
        : { runId: 'r1', attempt: 1, workerId: 'x', host: null, pid: null, since: new Date(0), ...by }
    return this.answer(deliveryId, at, { kind: 'skipped', reason, action: 'discard', holder, runId: 'r1' })
  }
  run(id: string, fence: number, picture: Partial<RunPicture> = {}) {
    this.runs.set(id, {
      id,
      status: 'completed',
      outcome: 'succeeded',
      fence,
      counts: { total: fence, processed: fence, failed: 0 },
      reasonCode: null,
      history: [],
      ...picture,
    })
    return this
  }
  broken(): Guarantee[] {
    const evidence: Evidence = {
      marks: this.marks,
      crew: { interruptions: this.interruptions, fallen: this.fallen },
      deliveries: this.deliveries,
      ledger: { runs: [...this.runs.values()], ...this.ledger },
    }
    return [...new Set(judge(evidence, RULES).violations.map(({ guarantee }) => guarantee))]
  }
}

/** One delivery, one section, one run; its duplicate was refused. */
const good = () =>
  new Story()
    .delivery('d1')
    .delivery('d2')
    .section(1, 0, 10)
    .executed('d1', 11, 1)
    .skipped('d2', 20, 'cooldown', { fence: 1, deliveryId: 'd1' })
    .run('r1', 1)

describe('the judge', () => {
  test('finds nothing where nothing is wrong', () => {
    expect(good().broken()).toEqual([])
  })
  test('G1: two sections of one work at once', () => {
    expect(good().section(2, 5, 15, { deliveryId: 'd2' }).broken()).toContain('G1')
  })
  test('G1: a section that was cut off lasts until its process is killed', () => {
    const story = good().section(3, 200, null, { pid: 9 }).section(4, 205, 210)
    story.interruptions.push({ pid: 9, kind: 'killed', from: 208n * MS, until: null })
    expect(story.broken()).toContain('G1')
    story.interruptions[0] = { pid: 9, kind: 'killed', from: 204n * MS, until: null }
    expect(story.broken()).not.toContain('G1')
  })
  test('G2: a section within the cooldown of a settled one', () => {
    expect(good().section(2, 109, 120, { deliveryId: 'd2' }).broken()).toContain('G2')
    expect(good().section(2, 111, 120, { deliveryId: 'd2' }).broken()).not.toContain('G2')
  })
  test('G3: a retry that is refused for the failure before it', () => {
    const story = new Story()
      .delivery('d1')
      .section(1, 0, 10, { ending: 'threw' })
      .executed('d1', 11, 1)
      .skipped('d1', 12, 'cooldown', { fence: 1, deliveryId: 'd1' })
      .run('r1', 1, { status: 'retrying', outcome: 'pending' })
    expect(story.broken()).toContain('G3')
  })
  test('G4: a run that shows an older attempt, or numbers of another one', () => {
    const later = { fence: 2, outcome: 'failed', total: 2, processed: 2 }
    expect(
      good()
        .section(2, 300, 310)
        .run('r1', 1, { history: [later] })
        .broken(),
    ).toContain('G4')
    expect(
      good()
        .run('r1', 1, { counts: { total: 2, processed: 2, failed: 0 } })
        .broken(),
    ).toContain('G4')
    expect(good().run('r1', 1, { outcome: 'failed' }).broken()).toContain('G4')
    expect(good().run('r1', 7).broken()).toContain('G4')
  })
  test('G4: a superseded attempt that changed a row', () => {
    const story = new Story()
      .delivery('d1')
      .section(1, 0, 10)
      .executed('d1', 11, 1, 'superseded')
      .run('r1', 1)
    expect(story.broken()).toContain('G4')
  })
  test('G5: a delivery without an end, or with one that nothing stands for', () => {
    expect(good().delivery('d3', 'w', false).broken()).toContain('G5')
    expect(good().delivery('d3').broken()).toContain('G5')
    expect(
      good().delivery('d3').skipped('d3', 30, 'overlap', { fence: 99, deliveryId: 'nobody' }).broken(),
    ).toContain('G5')
    expect(
      good().delivery('d3').skipped('d3', 30, 'overlap', { fence: 1, deliveryId: 'd3' }).broken(),
    ).toContain('G5')
    expect(good().delivery('d3').skipped('d3', 30, 'already_terminal').broken()).toContain('G5')
  })
  test('G5: an acknowledged settlement that the tables do not know', () => {
    expect(good().run('r1', 1, { reasonCode: 'worker.lost', outcome: 'failed' }).broken()).toContain('G5')
  })
  test('G5: what is open, held, or found by a second sweep', () => {
    expect(good().run('r2', 5, { status: 'running', outcome: 'pending' }).broken()).toContain('G5')
    for (const left of ['heldClaims', 'sweptAgain'] as const) {
      const story = good()
      story.ledger[left] = 1
      expect(story.broken()).toEqual(['G5'])
    }
  })
  test('G6: a process that fell, an error nobody expects, a connection that is left', () => {
    const fell = good()
    fell.fallen.push('process 7 ended with 70')
    expect(fell.broken()).toEqual(['G6'])
    expect(good().answer('d2', 5, { kind: 'unavailable', code: 'other', message: '40001' }).broken()).toEqual(
      ['G6'],
    )
    const leaking = good()
    leaking.ledger.connectionsLeft = 1
    expect(leaking.broken()).toEqual(['G6'])
  })
  test('G7: the secret in a row', () => {
    const story = good()
    story.ledger.text = `(…,"api_key=${SECRET}")`
    expect(story.broken()).toEqual(['G7'])
  })
})
