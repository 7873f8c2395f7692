/**
 * Every step that can come next: of the queue, of a worker's client code, of a statement at the database, of time, and
 * the faults. A step is one thing that nothing else can come between.
 */
import {
  adopt,
  type Caller,
  claim,
  freeOrphan,
  isLeaseRowLocked,
  leaveTerm,
  look,
  settle,
  sweep,
  tryLock,
  unlock,
} from './database.ts'
import { hasSession, type Mode, type Rules, Violation } from './rules.ts'
import {
  A,
  baseOf,
  Claim,
  Connection,
  DELIVERIES,
  Ending,
  G,
  LEASE,
  Lock,
  lateTransactionOf,
  MARGIN,
  normalise,
  oldSessionOf,
  Phase,
  Queue,
  RETIRED,
  Run,
  STATE_SIZE,
  type State,
  sessionOf,
  startProcess,
  termOf,
  transactionOf,
  Verdict,
  W,
  WORKERS,
} from './state.ts'

/** A fault counts against the budget, and progress may not rely on it. */
export type Kind = 'step' | 'fault'

export interface System {
  readonly mode: Mode
  readonly rules: Rules
  readonly faults: number
  /** One: a single dispatch, with all its redeliveries. Two: a duplicate dispatch beside it. */
  readonly deliveries: 1 | 2
  /**
   * All of them; or only those that silence a process without ending it (frozen, cut off, its lock session lost,
   * Postgres restarted), while an attempt executes or settles, and with nothing carried out after its client has
   * given it up.
   */
  readonly alphabet: 'all' | 'silence'
}

/** Gets the next state (only to read, and only until it returns) and what led there, as a text and its subjects. */
export type Visit = (next: State, kind: Kind, step: string, worker: number, delivery: number) => void

export function createSteps(system: System) {
  const { mode, rules } = system
  const scratch: State = new Uint8Array(STATE_SIZE)

  return function forEachStep(s: State, visit: Visit): void {
    const t = scratch
    const begin = () => t.set(s)
    const end = (step: string, worker = -1, delivery = -1, kind: Kind = 'step') => {
      judge(t)
      normalise(t)
      visit(t, kind, step, worker, delivery)
    }

    for (const w of WORKERS) {
      const b = baseOf(w)
      const isSession = hasSession(mode, w)
      const caller: Caller = { worker: w, hasSession: isSession, isLate: false }
      const late: Caller = { worker: w, hasSession: isSession, isLate: true }
      const phase = s[b + W.phase]!
      const isCutOff = s[b + W.isCutOff] === 1

      // --- at the database, whatever became of the client
      if (s[b + W.admission + A.step] === 1) {
        begin()
        const verdict = look(t, caller, rules)
        if (verdict !== Verdict.none) answer(t, w, verdict)
        end(
          verdict === Verdict.none ? 'admission locks, looks and goes on to claim' : verdictText(verdict),
          w,
          s[b + W.delivery],
        )
      } else if (s[b + W.admission + A.step] === 2) {
        begin()
        const verdict = claim(t, caller, rules)
        answer(t, w, verdict)
        end(
          verdict === Verdict.admitted ? 'admission claims and commits' : verdictText(verdict),
          w,
          s[b + W.delivery],
        )
      }
      const lateStep = s[b + W.lateAdmission + A.step]!
      if (lateStep > 0) {
        begin()
        if (lateStep === 1) {
          const verdict = look(t, late, rules)
          if (verdict !== Verdict.none) t.fill(0, b + W.lateAdmission, b + W.lateAdmission + 7)
          end('an admission that outlived its client looks', w, s[b + W.lateAdmission + A.delivery])
        } else {
          const verdict = claim(t, late, rules)
          end(
            verdict === Verdict.admitted
              ? 'an admission that outlived its client claims and commits'
              : 'an admission that outlived its client is refused at the row',
            w,
            s[b + W.lateAdmission + A.delivery],
          )
        }
        begin()
        if (lateStep === 2) releaseLate(t, w, isSession)
        t.fill(0, b + W.lateAdmission, b + W.lateAdmission + 7)
        end('an admission that outlived its client is rolled back', w)
      }
      if (s[b + W.lateSettleFence]! > 0) {
        begin()
        settle(
          t,
          settlementAt(t, b + W.lateSettleFence, b + W.lateSettleEnding, b + W.lateSettleDelivery),
          rules,
        )
        t.fill(0, b + W.lateSettleFence, b + W.lateSettleFence + 3)
        end('a settlement that outlived its client commits', w)
        begin()
        t.fill(0, b + W.lateSettleFence, b + W.lateSettleFence + 3)
        end('a settlement that outlived its client is lost', w)
      }
      if (s[b + W.lateFreeTerm]! > 0) {
        begin()
        if (!rules.freesOnlyOlder) freeOrphan(t, t[b + W.lateFreeTerm]! - 1, t[b + W.lateFreeSpares]!)
        t[b + W.lateFreeTerm] = 0
        t[b + W.lateFreeSpares] = 0
        end('a freeing of orphans that outlived its client commits', w)
      }
      if (phase === Phase.settling && !isCutOff) {
        begin()
        const isSuperseded = s[b + W.fence]! < s[G.claimFence]!
        if (isSuperseded && isSession && s[G.faultsLeft] === system.faults) {
          fail('G4', 'an attempt under its lock was superseded although nothing had failed')
        }
        settle(t, settlementAt(t, b + W.fence, b + W.ending, b + W.delivery), rules)
        t[b + W.phase] = Phase.settled
        end(isSuperseded ? 'settlement is answered superseded' : 'settlement commits', w)
      }
      if (s[b + W.isFreeing] === 1 && !isCutOff) {
        begin()
        const frees = freeOrphan(t, termOf(w), t[b + W.spares]!)
        t[b + W.isFreeing] = 0
        t[b + W.spares] = 0
        // Asked again for a lease; the model lets no statement outlive its connection for longer.
        if (t[b + W.lateAdmission + A.step] === 0) t[b + W.hasSuspect] = 0
        end(frees ? 'the orphan is freed' : 'nothing was there to free', w)
      }
      if (s[b + W.hasOldSession] === 1) {
        begin()
        if (t[G.lock] === oldSessionOf(w)) t[G.lock] = 0
        if (isSession) t.fill(0, b + W.lateAdmission, b + W.lateAdmission + 7)
        t[b + W.hasOldSession] = 0
        end('the server notices that a session is gone', w)
      }

      if (s[b + W.isAlive] === 0) {
        begin()
        startProcess(t, w)
        end('restarts', w)
        continue
      }
      if (isCutOff) {
        begin()
        t[b + W.isCutOff] = 0
        end('the network is back', w)
      }
      if (s[b + W.isFrozen] === 1) {
        begin()
        t[b + W.isFrozen] = 0
        end('thaws', w)
        continue
      }

      // --- client code
      if (
        s[b + W.unlocks]! > 0 &&
        s[b + W.connection] === Connection.open &&
        s[b + W.admission + A.step] !== 2
      ) {
        begin()
        for (; t[b + W.unlocks]! > 0; t[b + W.unlocks]!--) unlock(t, sessionOf(w))
        end('unlocks', w)
      }
      if (s[b + W.connection] === Connection.broken) {
        begin()
        t[b + W.connection] = Connection.closed
        t[b + W.unlocks] = 0
        if (t[b + W.lock] === Lock.held) t[b + W.lock] = Lock.missing
        end('notices that its lock session is gone', w)
      }
      if (s[b + W.connection] === Connection.closed && !isCutOff) {
        begin()
        t[b + W.connection] = Connection.open
        const couldLock = t[b + W.lock] === Lock.missing && (t[G.lock] === 0 || t[G.lock] === sessionOf(w))
        if (rules.locks && rules.relocks) relock(t, w)
        if (t[b + W.lock] !== Lock.missing || couldLock) t[b + W.isUnlocked] = 0
        if (rules.reconfirms && phase >= Phase.securing) t[b + W.mustAdopt] = 1
        end(
          t[b + W.lock] === Lock.missing
            ? 'has a lock session again, without its lock'
            : 'has a lock session again',
          w,
        )
      }
      if (
        s[b + W.lock] === Lock.missing &&
        s[b + W.connection] === Connection.open &&
        rules.locks &&
        rules.relocks &&
        (s[G.lock] === 0 || s[G.lock] === sessionOf(w))
      ) {
        begin()
        relock(t, w)
        t[b + W.isUnlocked] = 0
        end('has its lock back', w)
      }
      const mayRenew =
        !isCutOff &&
        s[b + W.deadline]! < LEASE - MARGIN &&
        !(rules.retiresConditionally && isLeaseRowLocked(s, termOf(w)))
      if (mayRenew || (phase === Phase.verifying && !isCutOff && !isLeaseRowLocked(s, termOf(w)))) {
        begin()
        const isRetired = t[b + W.lease] === RETIRED
        t[b + W.lease] = LEASE
        t[b + W.deadline] = LEASE - MARGIN
        if (isRetired) {
          t[b + W.isOfCurrentTerm] = 0
          if (phase >= Phase.securing) t[b + W.mustAdopt] = 1
        } else if (t[b + W.mustAdopt] === 0) {
          hasLooked(t, w)
        }
        if (phase === Phase.verifying) send(t, w)
        end(isRetired ? 'finds its term retired and registers a new one' : 'renews its lease', w)
      }
      if (s[b + W.mustAdopt] === 1 && !isCutOff) {
        begin()
        t[b + W.mustAdopt] = 0
        const isKept = adoptOrLose(t, w)
        end(isKept ? 'adopts what it executes' : 'learns that its claim was taken, and aborts', w)
      }
      if (phase === Phase.executing && s[b + W.deadline] === 0 && rules.hasDeadline) {
        begin()
        stop(t, w, Ending.handedBack)
        end('aborts: its lease is about to run out', w)
      }

      switch (phase) {
        case Phase.idle: {
          if (s[b + W.isFreeing] === 1 || isCutOff) break
          for (const d of DELIVERIES) {
            if (s[G.queue + d] !== Queue.waiting || (isSession && s[b + W.connection] !== Connection.open))
              continue
            begin()
            t[G.queue + d] = Queue.outAt + w
            t[b + W.delivery] = d
            t[b + W.orphanFence] = 0
            send(t, w)
            end('takes a delivery and sends its admission', w, d)
          }
          break
        }
        case Phase.answered:
          begin()
          end(hear(t, w, isSession), w, s[b + W.delivery])
          break
        case Phase.admissionFailed:
          if (!isCutOff && (!isSession || s[b + W.connection] === Connection.open)) {
            begin()
            send(t, w)
            end('sends its admission again', w, s[b + W.delivery])
          }
          begin()
          putOff(t, w)
          end('gives its admission up; the delivery is put off', w, s[b + W.delivery])
          break
        case Phase.securing: {
          const isOfCurrentTerm = s[b + W.isOfCurrentTerm] === 1
          if (s[b + W.deadline]! > 0 && isOfCurrentTerm) {
            begin()
            t[b + W.phase] = Phase.executing
            end('executes', w, s[b + W.delivery])
          } else if (!isOfCurrentTerm && s[b + W.deadline]! > 0 && !isCutOff && s[b + W.mustAdopt] === 0) {
            begin()
            if (adopt(t, w, t[b + W.fence]!) || !rules.adoptsByFence) {
              t[b + W.isOfCurrentTerm] = 1
              hasLooked(t, w)
              end('moves its claim to its new term', w, s[b + W.delivery])
            } else {
              abandon(t, w)
              end('finds its claim taken before it began, and abandons it', w, s[b + W.delivery])
            }
          }
          if (isCutOff) {
            begin()
            abandon(t, w)
            end('cannot secure its claim, and abandons it', w, s[b + W.delivery])
          }
          break
        }
        case Phase.executing: {
          begin()
          stop(t, w, Ending.success)
          end('its handler succeeds; sends the settlement', w)
          const d = s[b + W.delivery]!
          const isLast = d === 1 || s[G.attempt] === 1
          begin()
          stop(t, w, isLast ? Ending.failure : Ending.retry)
          end(
            isLast
              ? 'its handler fails for good; sends the settlement'
              : 'its handler fails, a retry will come; sends the settlement',
            w,
          )
          break
        }
        case Phase.settling:
          if (isCutOff) {
            begin()
            t[b + W.phase] = Phase.settlementFailed
            end('its settlement fails', w)
          }
          break
        case Phase.settled:
          begin()
          finish(t, w)
          end('hears that it is settled, lets go and tells the queue', w)
          break
        case Phase.settlementFailed:
          if (!isCutOff) {
            begin()
            t[b + W.phase] = Phase.settling
            end('sends its settlement again', w)
          }
          begin()
          if (rules.sparesKept) keep(t, w)
          else {
            keep(t, w)
            t[b + W.hasSuspect] = 1
          }
          finish(t, w)
          end('gives its settlement up, keeps it, and tells the queue', w)
          break
      }
      if (s[b + W.keptFence]! > 0 && !isCutOff) {
        begin()
        settle(t, settlementAt(t, b + W.keptFence, b + W.keptEnding, b + W.keptDelivery), rules)
        t.fill(0, b + W.keptFence, b + W.keptFence + 3)
        end('sends a kept settlement', w)
      }
      if (
        s[b + W.hasSuspect] === 1 &&
        s[b + W.isFreeing] === 0 &&
        phase === Phase.idle &&
        !isCutOff &&
        rules.freesOrphans
      ) {
        begin()
        t[b + W.isFreeing] = 1
        t[b + W.spares] = rules.sparesKept ? t[b + W.keptFence]! : 0
        end('asks for its orphans to be freed', w)
      }
      if (phase === Phase.executing || phase === Phase.securing) {
        for (const d of DELIVERIES) {
          if (s[G.queue + d] !== Queue.waiting || s[b + W.delivery] === d) continue
          if (rules.putsOffKnownDeliveries && s[b + W.knows + d] === 1) continue
          begin()
          t[G.queue + d] = Queue.acknowledged
          end('refuses a duplicate by itself: it executes that work', w, d)
        }
      }
    }

    // --- the queue, the sweep, time
    for (const d of DELIVERIES) {
      const w = s[G.queue + d]! - Queue.outAt
      if (w !== 0 && w !== 1) continue
      const b = baseOf(w)
      const hasIt = s[b + W.phase] !== Phase.idle && s[b + W.delivery] === d
      // A process that cannot move cannot renew its hold on the delivery either.
      const isFault = hasIt && s[b + W.isFrozen] === 0 && s[b + W.isCutOff] === 0
      if (isFault && (s[G.faultsLeft] === 0 || system.alphabet !== 'all')) continue
      begin()
      t[G.queue + d] = Queue.waiting
      if (isFault) t[G.faultsLeft]!--
      end(
        hasIt ? 'the queue thinks it stalled and delivers it again' : 'the queue delivers it again',
        -1,
        d,
        isFault ? 'fault' : 'step',
      )
    }
    begin()
    if (canSweep(s) && sweep(t)) end('a sweep closes the run')
    tick(s)
    const isExecuting = WORKERS.some((w) => s[baseOf(w) + W.phase]! >= Phase.executing)
    if (s[G.faultsLeft]! > 0 && (system.alphabet === 'all' || isExecuting)) faults(s)

    function tick(from: State): void {
      begin()
      let isChanged = false
      const down = (field: number) => {
        if (t[field]! === 0 || t[field] === RETIRED) return
        t[field]!--
        isChanged = true
      }
      down(G.cooldown)
      down(G.trueCooldown)
      for (const w of WORKERS) {
        const b = baseOf(w)
        down(b + W.goneLease)
        if (from[b + W.isAlive] === 0) continue
        const isWell = from[b + W.isFrozen] === 0 && from[b + W.isCutOff] === 0
        if (
          from[b + W.isFrozen] === 0 &&
          from[b + W.phase] === Phase.executing &&
          from[b + W.deadline] === 0
        ) {
          // Its timer goes off before more time passes.
          if (rules.hasDeadline) return
        }
        // A process that is well renews in time; what comes between is no different from doing so at once.
        if (isWell && from[b + W.lease] === LEASE) continue
        if (isWell && rules.hasDeadline) return
        down(b + W.lease)
        down(b + W.deadline)
      }
      if (isChanged) end('time passes')
    }

    function faults(from: State): void {
      const fault = (step: string, w = -1) => {
        t[G.faultsLeft]!--
        end(step, w, -1, 'fault')
      }
      for (const w of WORKERS) {
        const b = baseOf(w)
        if (from[b + W.isAlive] === 0) continue
        const isSession = hasSession(mode, w)
        const phase = from[b + W.phase]!
        const isAtStake =
          phase !== Phase.idle ||
          from[b + W.unlocks]! > 0 ||
          from[b + W.keptFence]! > 0 ||
          from[b + W.hasSuspect] === 1
        if (phase !== Phase.idle && from[b + W.isFrozen] === 0) {
          begin()
          t[b + W.isFrozen] = 1
          fault('freezes', w)
        }
        if (!isAtStake) continue
        if (phase === Phase.securing && from[b + W.isFrozen] === 0 && system.alphabet === 'all') {
          begin()
          abandon(t, w)
          fault('is closed before it began, and abandons its claim', w)
        }
        if (system.alphabet === 'all') {
          begin()
          crash(t, w, isSession)
          fault('is killed', w)
        }
        if (isSession && from[b + W.connection] === Connection.open) {
          begin()
          endSession(t, w)
          fault('its lock session is ended by the server', w)
          begin()
          loseSession(t, w, true)
          t[b + W.connection] = Connection.closed
          t[b + W.unlocks] = 0
          if (t[b + W.lock] === Lock.held) t[b + W.lock] = Lock.missing
          fault('loses its lock session; the server does not notice', w)
        }
        if (from[b + W.isCutOff] === 0) {
          begin()
          t[b + W.isCutOff] = 1
          if (isSession && t[b + W.connection] === Connection.open) loseSession(t, w, true)
          loseStatements(t, w, isSession, true)
          fault('is cut off from the database', w)
        }
        const hasStatement =
          phase === Phase.settling ||
          phase === Phase.settled ||
          from[b + W.isFreeing] === 1 ||
          (!isSession && (phase === Phase.admitting || phase === Phase.answered))
        if (hasStatement && from[b + W.isCutOff] === 0 && system.alphabet === 'all') {
          begin()
          loseStatements(t, w, isSession, true)
          fault('loses the connection of a statement', w)
        }
      }
      begin()
      for (const w of WORKERS) {
        const b = baseOf(w)
        // Rolled back, before anything is lost or kept.
        if (t[b + W.admission + A.step] === 2) t.fill(0, b + W.admission, b + W.admission + 7)
        t.fill(0, b + W.lateAdmission, b + W.lateAdmission + 7)
        t.fill(0, b + W.lateFreeTerm, b + W.lateFreeTerm + 5)
        if (hasSession(mode, w) && t[b + W.isAlive] === 1 && t[b + W.connection] === Connection.open) {
          endSession(t, w)
        }
        loseStatements(t, w, hasSession(mode, w), false)
        t[b + W.hasOldSession] = 0
      }
      t[G.lock] = 0
      fault('Postgres restarts')
    }
  }

  // --- parts of steps

  function send(t: State, w: number): void {
    const b = baseOf(w)
    t[b + W.phase] = Phase.admitting
    const a = b + W.admission
    t[a + A.step] = 1
    t[a + A.delivery] = t[b + W.delivery]!
    t[a + A.orphanFence] = t[b + W.orphanFence]!
    t[a + A.term] = t[b + W.lease] === RETIRED ? 0 : termOf(w)
  }

  function answer(t: State, w: number, verdict: number): void {
    const b = baseOf(w)
    t.fill(0, b + W.admission, b + W.admission + 7)
    // That nothing was decided is heard at once: no other step can tell.
    if (verdict === Verdict.overlapSame || verdict === Verdict.lockBusy) {
      putOff(t, w)
      return
    }
    t[b + W.phase] = Phase.answered
    t[b + W.verdict] = verdict
    if (verdict === Verdict.admitted || verdict === Verdict.ownOrphan) t[b + W.fence] = t[G.claimFence]!
    if (verdict === Verdict.admitted) {
      // A claim made under a term that was retired meanwhile is one of a retired term.
      t[b + W.isOfCurrentTerm] = t[G.claimTerm] === termOf(w) ? 1 : 0
      for (const d of DELIVERIES) t[b + W.knows + d] = t[G.known + d]!
    }
  }

  function hear(t: State, w: number, isSession: boolean): string {
    const b = baseOf(w)
    const verdict = t[b + W.verdict]!
    t[b + W.verdict] = 0
    t[b + W.orphanFence] = 0
    switch (verdict) {
      case Verdict.admitted:
        t[b + W.phase] = Phase.securing
        if (isSession && rules.locks)
          t[b + W.lock] = t[b + W.connection] === Connection.open ? Lock.held : Lock.missing
        return 'hears that it is admitted'
      case Verdict.ownOrphan:
        t[b + W.orphanFence] = t[b + W.fence]!
        t[b + W.fence] = 0
        send(t, w)
        return 'hears that it holds an orphan of this work; asks to take it over'
      case Verdict.termRetired:
        t[b + W.phase] = Phase.verifying
        return 'hears that its term is retired'
      case Verdict.conflict:
        if (isSession && t[G.lock] === sessionOf(w)) t[G.lock] = 0
        t[b + W.unlocks] = 0
        t[b + W.phase] = Phase.admissionFailed
        return 'hears that somebody was faster; lets all locks go'
      default: {
        const d = t[b + W.delivery]!
        if (t[G.queue + d] === Queue.outAt + w) t[G.queue + d] = Queue.acknowledged
        leave(t, w)
        return 'hears that it is a duplicate, and acknowledges it'
      }
    }
  }

  function putOff(t: State, w: number): void {
    const b = baseOf(w)
    const d = t[b + W.delivery]!
    if (t[G.queue + d] === Queue.outAt + w) t[G.queue + d] = Queue.waiting
    leave(t, w)
  }

  /** The entry leaves the registry, and with it what the process knew of this claim. */
  function leave(t: State, w: number): void {
    const b = baseOf(w)
    t[b + W.phase] = Phase.idle
    t.fill(0, b + W.delivery, b + W.lock)
    t.fill(0, b + W.knows, b + W.knows + 2)
    t[b + W.isUnlocked] = 0
    hasLooked(t, w)
  }

  /** What it executes is its own again, or over: what it missed while it was frozen excuses nothing any more. */
  function hasLooked(t: State, w: number): void {
    t[baseOf(w) + W.isLate] = 0
    t[baseOf(w) + W.isExcused] = 0
  }

  function letGo(t: State, w: number): void {
    const b = baseOf(w)
    if (t[b + W.lock] === Lock.held && t[b + W.connection] !== Connection.closed) t[b + W.unlocks]!++
    t[b + W.lock] = Lock.none
  }

  function abandon(t: State, w: number): void {
    letGo(t, w)
    t[baseOf(w) + W.hasSuspect] = 1
    putOff(t, w)
  }

  function stop(t: State, w: number, ending: number): void {
    const b = baseOf(w)
    t[b + W.phase] = Phase.settling
    t[b + W.ending] = ending
    hasLooked(t, w)
    if (ending === Ending.success || ending === Ending.failure) t[G.isDone] = 1
    if (!rules.unlocksAfterCommit) letGo(t, w)
  }

  function finish(t: State, w: number): void {
    const b = baseOf(w)
    const d = t[b + W.delivery]!
    const ending = t[b + W.ending]!
    letGo(t, w)
    if (t[G.queue + d] === Queue.outAt + w) {
      const isOver = ending === Ending.success || ending === Ending.failure
      t[G.queue + d] = isOver ? Queue.acknowledged : Queue.waiting
      if (ending === Ending.retry) t[G.attempt] = 1
    }
    leave(t, w)
  }

  function keep(t: State, w: number): void {
    const b = baseOf(w)
    t[b + W.keptFence] = t[b + W.fence]!
    t[b + W.keptEnding] = t[b + W.ending]!
    t[b + W.keptDelivery] = t[b + W.delivery]!
  }

  function adoptOrLose(t: State, w: number): boolean {
    const b = baseOf(w)
    const fence = t[b + W.fence]!
    const isKept = adopt(t, w, fence)
    if (isKept || !rules.adoptsByFence) {
      if (t[b + W.deadline]! > 0) hasLooked(t, w)
      return true
    }
    if (t[b + W.phase] === Phase.executing) stop(t, w, Ending.handedBack)
    if (t[b + W.phase] === Phase.securing) abandon(t, w)
    return false
  }

  function relock(t: State, w: number): void {
    const b = baseOf(w)
    if (t[b + W.lock] === Lock.missing && tryLock(t, sessionOf(w))) t[b + W.lock] = Lock.held
  }

  function settlementAt(t: State, fence: number, ending: number, delivery: number) {
    return { fence: t[fence]!, ending: t[ending]!, delivery: t[delivery]! }
  }

  function releaseLate(t: State, w: number, isSession: boolean): void {
    const owner = isSession ? oldSessionOf(w) : lateTransactionOf(w)
    if (!isSession && t[G.lock] === owner) t[G.lock] = 0
  }

  /** The statements of a client that is gone, or that hears of an error: they may still be carried out. */
  function loseStatements(t: State, w: number, isSession: boolean, isReachable: boolean): void {
    const b = baseOf(w)
    const mayOutlive = isReachable && system.alphabet === 'all'
    const phase = t[b + W.phase]!
    if (!isSession) loseAdmission(t, w, false, mayOutlive)
    if (phase === Phase.settling) {
      if (mayOutlive) {
        t[b + W.lateSettleFence] = t[b + W.fence]!
        t[b + W.lateSettleEnding] = t[b + W.ending]!
        t[b + W.lateSettleDelivery] = t[b + W.delivery]!
      }
      t[b + W.phase] = Phase.settlementFailed
    }
    if (phase === Phase.settled) t[b + W.phase] = Phase.settlementFailed
    if (t[b + W.isFreeing] === 1) {
      if (mayOutlive && t[b + W.lease] !== RETIRED) {
        t[b + W.lateFreeTerm] = termOf(w) + 1
        t[b + W.lateFreeSpares] = t[b + W.spares]!
      }
      t[b + W.isFreeing] = 0
      t[b + W.spares] = 0
    }
  }

  function loseAdmission(t: State, w: number, isSession: boolean, isReachable: boolean): void {
    const b = baseOf(w)
    const mayOutlive = isReachable && system.alphabet === 'all'
    const phase = t[b + W.phase]!
    if (phase !== Phase.admitting && phase !== Phase.answered) return
    if (phase === Phase.admitting && mayOutlive) {
      if (t[b + W.lateAdmission + A.step] === 2) releaseLate(t, w, isSession)
      t.copyWithin(b + W.lateAdmission, b + W.admission, b + W.admission + 7)
      if (!isSession && t[G.lock] === transactionOf(w)) t[G.lock] = lateTransactionOf(w)
    }
    if (t[b + W.admission + A.step] === 2 && !mayOutlive && t[G.lock] === transactionOf(w)) t[G.lock] = 0
    t.fill(0, b + W.admission, b + W.admission + 7)
    t.fill(0, b + W.knows, b + W.knows + 2)
    t[b + W.phase] = Phase.admissionFailed
    t[b + W.verdict] = 0
    t[b + W.fence] = 0
    t[b + W.isOfCurrentTerm] = 0
    t[b + W.hasSuspect] = 1
  }

  /** The client has lost its session, and the server keeps it for a while. */
  function loseSession(t: State, w: number, mayOutlive: boolean): void {
    const b = baseOf(w)
    if (t[b + W.hasOldSession] === 1 && t[G.lock] === oldSessionOf(w)) t[G.lock] = 0
    if (t[G.lock] === sessionOf(w)) t[G.lock] = oldSessionOf(w)
    t[b + W.hasOldSession] = mayOutlive ? 1 : 0
    t[b + W.connection] = Connection.broken
    if (t[b + W.lock] === Lock.held) t[b + W.isUnlocked] = 1
    loseAdmission(t, w, true, mayOutlive)
  }

  /** The server has ended the session, and the client does not know yet. */
  function endSession(t: State, w: number): void {
    const b = baseOf(w)
    if (t[G.lock] === sessionOf(w)) t[G.lock] = 0
    t[b + W.connection] = Connection.broken
    if (t[b + W.lock] === Lock.held) t[b + W.isUnlocked] = 1
    loseAdmission(t, w, true, false)
  }

  function crash(t: State, w: number, isSession: boolean): void {
    const b = baseOf(w)
    if (isSession && t[b + W.connection] === Connection.open) loseSession(t, w, true)
    loseStatements(t, w, isSession, true)
    leaveTerm(t, w)
    leave(t, w)
    t[b + W.isAlive] = 0
    t[b + W.isFrozen] = 0
    t[b + W.isCutOff] = 0
    t[b + W.connection] = Connection.open
    t[b + W.deadline] = 0
    t.fill(0, b + W.lock, b + W.lateFreeTerm)
  }

  function canSweep(s: State): boolean {
    if (s[G.run] === Run.running) return s[G.claim] === Claim.held
    return s[G.run] === Run.retrying && DELIVERIES.every((d) => s[G.queue + d] === Queue.acknowledged)
  }

  // --- what is judged of every state

  function judge(t: State): void {
    for (const w of WORKERS) {
      const b = baseOf(w)
      const lease = t[b + W.lease]!
      const isSilent = t[b + W.isFrozen] === 1 && (lease === 0 || lease === RETIRED)
      if (isSilent && t[b + W.phase] === Phase.executing) t[b + W.isLate] = 1
      if (t[b + W.isLate] === 1 && (!hasSession(mode, w) || t[b + W.isUnlocked] === 1)) t[b + W.isExcused] = 1
    }
    const [a, b] = [baseOf(0), baseOf(1)]
    if (t[a + W.phase] === Phase.executing && t[b + W.phase] === Phase.executing) {
      if (t[a + W.isExcused] === 0 && t[b + W.isExcused] === 0)
        fail('G1', 'two processes execute the same identity')
    }
    if (t[G.queue] === Queue.acknowledged && t[G.queue + 1] === Queue.acknowledged && t[G.isDone] === 0) {
      fail('G5', 'every delivery of the work is acknowledged, and it was never executed to an end')
    }
  }
}

function fail(...[invariant, message]: ConstructorParameters<typeof Violation>): never {
  throw new Violation(invariant, message)
}

/** An overlap that the contract excludes: of a process that is frozen past its lease, and in session mode cut off too. */
export function isExcludedOverlap(s: State): boolean {
  return s[baseOf(0) + W.phase] === Phase.executing && s[baseOf(1) + W.phase] === Phase.executing
}

/** The work is at rest: nothing is held, nothing is open, nobody is at it, and every delivery is acknowledged. */
export function isAtRest(s: State): boolean {
  return (
    DELIVERIES.every((d) => s[G.queue + d] === Queue.acknowledged) &&
    s[G.claim] !== Claim.held &&
    (s[G.run] === Run.succeeded || s[G.run] === Run.failed || s[G.run] === Run.lost) &&
    WORKERS.every((w) => s[baseOf(w) + W.phase] === Phase.idle)
  )
}

function verdictText(verdict: number): string {
  switch (verdict) {
    case Verdict.alreadyTerminal:
      return 'admission is answered already_terminal'
    case Verdict.overlapSame:
      return 'admission is answered overlap, retry_later'
    case Verdict.overlap:
      return 'admission is answered overlap, discard'
    case Verdict.cooldown:
      return 'admission is answered cooldown'
    case Verdict.lockBusy:
      return 'admission is answered lock_busy'
    case Verdict.ownOrphan:
      return 'admission is answered own_orphan'
    case Verdict.termRetired:
      return 'admission is answered term_retired'
    default:
      return 'admission is rolled back: the run changed meanwhile'
  }
}
