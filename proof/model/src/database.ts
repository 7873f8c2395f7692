/**
 * What the schema's functions do, each as the steps that others can come between. Every writer of a claim takes its
 * row lock first, so that a whole settlement, adoption, freeing or sweep is one step; only an admission looks before
 * it has the row, and so has two.
 */
import { type Rules, Violation } from './rules.ts'
import {
  A,
  baseOf,
  Claim,
  COOLDOWN,
  Ending,
  G,
  goneTermOf,
  lateTransactionOf,
  leaseField,
  nextFence,
  oldSessionOf,
  RETIRED,
  RETIRED_TERM,
  Run,
  type State,
  sessionOf,
  TERM_FIELDS,
  termOf,
  transactionOf,
  Verdict,
  W,
  WORKERS,
} from './state.ts'

export interface Caller {
  readonly worker: number
  readonly hasSession: boolean
  /** Its client is gone: nobody hears the answer. */
  readonly isLate: boolean
}

const offsetOf = ({ worker, isLate }: Caller) => baseOf(worker) + (isLate ? W.lateAdmission : W.admission)

function ownerOf({ worker, hasSession, isLate }: Caller): number {
  if (hasSession) return isLate ? oldSessionOf(worker) : sessionOf(worker)
  return isLate ? lateTransactionOf(worker) : transactionOf(worker)
}

function unlockOnce(s: State, owner: number): void {
  if (s[G.lock] !== owner) return
  s[G.lockCount]!--
  if (s[G.lockCount] === 0) s[G.lock] = 0
}

export const unlock = unlockOnce

/** True when the session has the lock now; a session may take its own again. */
export function tryLock(s: State, owner: number): boolean {
  if (s[G.lock] !== 0 && s[G.lock] !== owner) return false
  s[G.lock] = owner
  s[G.lockCount]!++
  return true
}

/** A lease row that an admission in flight has locked is waited for by its renewal, and by nobody else. */
export function isLeaseRowLocked(s: State, term: number): boolean {
  return WORKERS.some((worker) => {
    const b = baseOf(worker)
    return (
      (s[b + W.admission + A.step] === 2 && s[b + W.admission + A.retires] === term) ||
      (s[b + W.lateAdmission + A.step] === 2 && s[b + W.lateAdmission + A.retires] === term)
    )
  })
}

const isCurrentTerm = (term: number) => term === 1 || term === 2

function isExpiredOrRetired(s: State, term: number): boolean {
  if (term === RETIRED_TERM) return true
  const lease = s[leaseField(term)]!
  return lease === 0 || lease === RETIRED
}

function retire(s: State, term: number): void {
  s[leaseField(term)] = isCurrentTerm(term) ? RETIRED : 0
  for (const field of TERM_FIELDS) if (s[field] === term) s[field] = RETIRED_TERM
  for (const worker of WORKERS) {
    const b = baseOf(worker)
    if (s[b + W.lateFreeTerm] === term + 1) s[b + W.lateFreeTerm] = 0
  }
}

/** A process is gone and its term is not: what named the current term names the one of before. */
export function leaveTerm(s: State, worker: number): void {
  const b = baseOf(worker)
  const lease = s[b + W.lease]!
  for (const field of TERM_FIELDS) if (s[field] === termOf(worker)) s[field] = goneTermOf(worker)
  for (const other of WORKERS) {
    const o = baseOf(other)
    if (s[o + W.lateFreeTerm] === termOf(worker) + 1) s[o + W.lateFreeTerm] = goneTermOf(worker) + 1
    for (const a of [o + W.admission, o + W.lateAdmission]) {
      if (s[a + A.retires] === termOf(worker)) s[a + A.retires] = goneTermOf(worker)
    }
  }
  s[b + W.goneLease] = lease === RETIRED ? 0 : lease
  s[b + W.lease] = 0
}

function changeRun(s: State): void {
  for (const worker of WORKERS) {
    const b = baseOf(worker)
    for (const a of [b + W.admission, b + W.lateAdmission]) {
      if (s[a + A.step] === 2 && s[a + A.seenRun] === 1) s[a + A.seenRun] = 2
    }
  }
}

/** `admit`, up to the decision: the lock, the look, the verdict; `none` when it goes on to claim. */
export function look(s: State, caller: Caller, rules: Rules): number {
  const a = offsetOf(caller)
  const owner = ownerOf(caller)
  const delivery = s[a + A.delivery]!
  const term = s[a + A.term]!
  if (term === RETIRED_TERM) return Verdict.termRetired
  const isLocked = rules.locks ? tryLock(s, owner) : true
  const verdict = decide(s, delivery, term, s[a + A.orphanFence]!, isLocked, rules)
  if (verdict !== Verdict.none) {
    if (isLocked && rules.locks) unlockOnce(s, owner)
    return verdict
  }
  const isHeldByOther = s[G.claim] === Claim.held && s[G.claimTerm] !== term
  s[a + A.step] = 2
  s[a + A.retires] = isHeldByOther ? s[G.claimTerm]! : 0
  const isOpen = s[G.run] === Run.running || s[G.run] === Run.retrying
  s[a + A.seenRun] = isOpen || s[G.run] === Run.lost ? 1 : 0
  if (!rules.fenceUnderRowLock) s[a + A.earlyFence] = nextFence(s)
  return Verdict.none
}

function decide(
  s: State,
  delivery: number,
  term: number,
  orphanFence: number,
  isLocked: boolean,
  rules: Rules,
): number {
  if (s[G.ended + delivery] === 1) return Verdict.alreadyTerminal
  if (s[G.claim] === Claim.held) {
    const holder = s[G.claimTerm]!
    const isMine = holder === term
    const mayTake = isMine
      ? s[G.claimFence] === orphanFence
      : isExpiredOrRetired(s, holder) || !rules.respectsLease
    if (!isLocked || !mayTake) {
      if (isMine && isLocked && rules.takesOverOrphans) return Verdict.ownOrphan
      if (s[G.claimDelivery] === delivery && rules.putsOffSameDelivery) return Verdict.overlapSame
      if (s[G.known + delivery] === 1 && rules.putsOffKnownDeliveries) return Verdict.overlapSame
      return Verdict.overlap
    }
    if (!isMine && holder !== RETIRED_TERM && rules.retiresConditionally && isLeaseRowLocked(s, holder)) {
      return Verdict.lockBusy
    }
    return Verdict.none
  }
  if (s[G.claim] === Claim.cooling && s[G.cooldown]! > 0) {
    if (s[G.trueCooldown] === 0) {
      throw new Violation('G3', 'refused for a cooldown that no terminal completion started')
    }
    return Verdict.cooldown
  }
  return isLocked ? Verdict.none : Verdict.lockBusy
}

/** `admit`, the rest: the upsert, judged on the locked row, and the run; one commit. */
export function claim(s: State, caller: Caller, rules: Rules): number {
  const a = offsetOf(caller)
  const owner = ownerOf(caller)
  const delivery = s[a + A.delivery]!
  const orphanFence = s[a + A.orphanFence]!
  const term = s[a + A.term]!
  const retires = s[a + A.retires]!
  const seenRun = s[a + A.seenRun]!
  const earlyFence = s[a + A.earlyFence]!
  const isOpen = s[G.run] === Run.running || s[G.run] === Run.retrying
  s.fill(0, a, a + 7)

  const releases = () => {
    if (rules.locks) unlockOnce(s, owner)
  }
  // The holder's claim as it is now, with what this transaction retires counted as retired.
  const holder = s[G.claimTerm]!
  const isTakeable =
    holder === RETIRED_TERM ||
    (retires !== 0 && holder === retires) ||
    (holder === term && s[G.claimFence] === orphanFence)
  const passes =
    s[G.claim] === Claim.free ||
    (s[G.claim] === Claim.cooling && s[G.cooldown] === 0) ||
    (s[G.claim] === Claim.held && isTakeable)
  const isConflict = passes && (seenRun === 0 ? isOpen : seenRun === 2)
  if (isConflict) {
    // All is rolled back but the session's lock, which outlives the statement that failed.
    if (!caller.hasSession) releases()
    return Verdict.conflict
  }
  if (retires !== 0 && rules.retiresConditionally && rules.respectsLease) retire(s, retires)
  if (!passes) {
    releases()
    return Verdict.lockBusy
  }
  if (s[G.trueCooldown]! > 0) throw new Violation('G2', 'admitted within the cooldown')
  const fence = earlyFence > 0 ? earlyFence : nextFence(s)
  if (fence <= s[G.claimFence]!) throw new Violation('G4', 'a later claim has the lower fence')
  s[G.claim] = Claim.held
  s[G.claimFence] = fence
  s[G.claimTerm] = term
  s[G.claimDelivery] = delivery
  s[G.cooldown] = 0
  if (seenRun === 0) {
    s[G.settledFence] = 0
    s.fill(0, G.known, G.known + 2)
  }
  s[G.known + delivery] = 1
  s[G.run] = Run.running
  s[G.runFence] = fence
  changeRun(s)
  if (!caller.hasSession) releases()
  return Verdict.admitted
}

export interface Settlement {
  readonly fence: number
  readonly ending: number
  readonly delivery: number
}

/** `settle`, one commit. True when it took effect. */
export function settle(s: State, { fence, ending, delivery }: Settlement, rules: Rules): boolean {
  const isNewest = s[G.claimFence] === fence && s[G.runFence] === fence
  const isOurs = isNewest && s[G.claim] === Claim.held && s[G.run] === Run.running
  const takesEffect =
    isOurs || !rules.checksFence || (isNewest && !rules.settlesOnce && s[G.settledFence] === fence)
  if (!takesEffect) {
    if (isNewest && s[G.settledFence] !== fence) {
      throw new Violation('G4', 'an attempt that nobody followed was executed, and its result is dropped')
    }
    return false
  }
  if (fence < s[G.runFence]! || fence < s[G.settledFence]!) {
    throw new Violation('G4', 'a superseded attempt wrote its result over a later one')
  }
  if (s[G.settledFence] === fence) throw new Violation('G4', 'one attempt was settled twice')
  s[G.settledFence] = fence
  const isTerminal = ending === Ending.success || ending === Ending.failure
  s[G.run] = ending === Ending.success ? Run.succeeded : ending === Ending.failure ? Run.failed : Run.retrying
  if (ending === Ending.success) s[G.ended + delivery] = 1
  const cools = rules.startsCooldown && (isTerminal || !rules.coolsOnlyTerminal)
  s[G.claim] = cools ? Claim.cooling : Claim.free
  s[G.cooldown] = cools ? COOLDOWN : 0
  if (isTerminal) s[G.trueCooldown] = COOLDOWN
  changeRun(s)
  return true
}

/** `adopt`: what is still at its fence moves to the process's current term. */
export function adopt(s: State, worker: number, fence: number): boolean {
  if (s[G.claim] !== Claim.held || s[G.claimFence] !== fence) return false
  s[G.claimTerm] = termOf(worker)
  if (s[baseOf(worker) + W.lease] === RETIRED) s[G.claimTerm] = RETIRED_TERM
  return s[G.run] === Run.running && s[G.runFence] === fence
}

/** `free_orphans`: a claim of this term that is not to be spared is free, and its run waits for a retry. */
export function freeOrphan(s: State, term: number, spares: number): boolean {
  if (s[G.claim] !== Claim.held || s[G.claimTerm] !== term || s[G.claimFence] === spares) return false
  s[G.claim] = Claim.free
  if (s[G.run] === Run.running && s[G.runFence] === s[G.claimFence]) {
    s[G.run] = Run.retrying
    changeRun(s)
  }
  return true
}

/** `sweep`: retire, lock, new fence, `worker.lost`; or a run that no delivery will ever come for, `delivery.lost`. */
export function sweep(s: State): boolean {
  if (s[G.lock] !== 0) return false
  if (s[G.run] === Run.retrying && s[G.claim] !== Claim.held) {
    s[G.run] = Run.lost
    changeRun(s)
    return true
  }
  if (s[G.run] !== Run.running || s[G.claim] !== Claim.held) return false
  const term = s[G.claimTerm]!
  if (!isExpiredOrRetired(s, term) || isLeaseRowLocked(s, term)) return false
  if (term !== RETIRED_TERM) retire(s, term)
  s[G.claim] = Claim.free
  s[G.run] = Run.lost
  s[G.claimFence] = nextFence(s)
  s[G.runFence] = s[G.claimFence]!
  changeRun(s)
  return true
}
