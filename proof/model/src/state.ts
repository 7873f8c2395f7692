/**
 * A state of the model is a short row of bytes. This file says what each byte means, and which states are the same
 * state under another name.
 */

/** A lease in ticks, and the part of it that a process leaves unused: it acts when `LEASE - MARGIN` have passed. */
export const LEASE = 2
export const MARGIN = 1
export const COOLDOWN = 1
/** The lease of a term that can never be renewed again. */
export const RETIRED = 7

/** What all share. */
export const G = {
  /** Who has the advisory lock: 0 nobody, else one of `sessionOf`, `oldSessionOf`, `transactionOf`, `lateTransactionOf`. */
  lock: 0,
  /** Session locks are re-entrant: how often it was taken. */
  lockCount: 1,
  /** The row of `job_claim`. */
  claim: 2,
  claimFence: 3,
  claimTerm: 4,
  claimDelivery: 5,
  cooldown: 6,
  /** The row of `operation_run`. */
  run: 7,
  runFence: 8,
  /** Kept beside the protocol, to judge it by: the highest fence that settled this run, the true cooldown, whether a
   * handler ever ran to its end, and which deliveries ended a run other than `failed`. */
  settledFence: 9,
  trueCooldown: 10,
  isDone: 11,
  ended: 12, // 12, 13
  /** The host's queue, per delivery. */
  queue: 14, // 14, 15
  /** The first delivery has two attempts, the second one. */
  attempt: 16,
  faultsLeft: 17,
  /** Which deliveries the open run was ever executed for: its own, and those of its history. */
  known: 18, // 18, 19
} as const
const GLOBALS = 20

/** The phases of a worker's one entry in its local registry. */
export const Phase = {
  idle: 0,
  /** Its statement is at the database: `W.admission` says how far. */
  admitting: 1,
  /** The database has answered; the reply is on its way. */
  answered: 2,
  /** The connection was lost, or a conflict was answered: sent again or given up. */
  admissionFailed: 3,
  /** The answer was `term_retired`: renew first. */
  verifying: 4,
  securing: 5,
  executing: 6,
  settling: 7,
  settled: 8,
  settlementFailed: 9,
} as const

export const Claim = { free: 0, held: 1, cooling: 2 } as const
export const Run = { none: 0, running: 1, retrying: 2, succeeded: 3, failed: 4, lost: 5 } as const
export const Queue = { waiting: 1, outAt: 2, acknowledged: 4 } as const
export const Ending = { success: 1, retry: 2, failure: 3, handedBack: 4 } as const
export const Verdict = {
  none: 0,
  admitted: 1,
  alreadyTerminal: 2,
  overlapSame: 3,
  overlap: 4,
  cooldown: 5,
  lockBusy: 6,
  ownOrphan: 7,
  termRetired: 8,
  conflict: 9,
} as const
export const Connection = { open: 0, broken: 1, closed: 2 } as const
export const Lock = { none: 0, held: 1, missing: 2 } as const

/** An admission as the database sees it; as offsets, because a worker has one of its own and one that outlived it. */
export const A = {
  /** 0 none, 1 sent, 2 between the look and the claim */
  step: 0,
  delivery: 1,
  orphanFence: 2,
  term: 3,
  /** What it saw of the run: 0 no open run, 1 a run to go on with, 2 the same but it has changed since */
  seenRun: 4,
  /** The term whose lease row it has locked, to retire it */
  retires: 5,
  /** Mutant only: a fence taken before the row was locked */
  earlyFence: 6,
} as const
const ADMISSION = 7

/** What a worker has: process, connections, term, entry, and what it left behind. */
export const W = {
  isAlive: 0,
  isFrozen: 1,
  isCutOff: 2,
  connection: 3,
  /** The server still has the session that this process has lost. */
  hasOldSession: 4,
  lease: 5,
  deadline: 6,
  /** The lease of a crashed process's term, while something names it. */
  goneLease: 7,
  phase: 8,
  delivery: 9,
  fence: 10,
  ending: 11,
  verdict: 12,
  orphanFence: 13,
  isOfCurrentTerm: 14,
  mustAdopt: 15,
  lock: 16,
  unlocks: 17,
  keptFence: 18,
  keptEnding: 19,
  keptDelivery: 20,
  hasSuspect: 21,
  /** `free_orphans` is at the database, and the fence it was told to spare; then the same for one that outlived its client. */
  isFreeing: 22,
  spares: 23,
  lateFreeTerm: 24, // 0 none, else term + 1
  lateFreeSpares: 25,
  lateSettleFence: 26,
  lateSettleEnding: 27,
  lateSettleDelivery: 28,
  /** Judged by: its lease ran out while it was frozen, and it has not looked since; its lock was lost and is not back. */
  isLate: 29,
  isUnlocked: 30,
  /** Which deliveries were in the history that its admission was answered with. */
  knows: 31, // 31, 32
  /** Late, and without its lock where it should have one: an overlap with it is one that the contract excludes. */
  isExcused: 33,
  admission: 34,
  lateAdmission: 34 + ADMISSION,
} as const
const WORKER = 34 + 2 * ADMISSION

export const WORKERS = [0, 1] as const
export const DELIVERIES = [0, 1] as const
/** In bytes; a whole number of words, which compare faster. */
export const STATE_SIZE = Math.ceil((GLOBALS + 2 * WORKER) / 4) * 4

export type State = Uint8Array

export const baseOf = (worker: number) => GLOBALS + worker * WORKER

/** Owners of the advisory lock; each pair differs by the worker, so that swapping the workers is one bit. */
export const sessionOf = (worker: number) => 1 + worker
export const oldSessionOf = (worker: number) => 3 + worker
export const transactionOf = (worker: number) => 5 + worker
export const lateTransactionOf = (worker: number) => 7 + worker

/** Terms: 0 is any retired one (they are all alike), then the workers' current ones, then those of crashed processes. */
export const RETIRED_TERM = 0
export const termOf = (worker: number) => 1 + worker
export const goneTermOf = (worker: number) => 3 + worker

/** Where the lease of a term is kept. */
export function leaseField(term: number): number {
  return term >= 3 ? baseOf(term - 3) + W.goneLease : baseOf(term - 1) + W.lease
}

export function initialState(faults: number, deliveries: number): State {
  const s = new Uint8Array(STATE_SIZE)
  s[G.faultsLeft] = faults
  for (const delivery of DELIVERIES) {
    s[G.queue + delivery] = delivery < deliveries ? Queue.waiting : Queue.acknowledged
  }
  for (const worker of WORKERS) startProcess(s, worker)
  return s
}

export function startProcess(s: State, worker: number): void {
  const b = baseOf(worker)
  s[b + W.isAlive] = 1
  s[b + W.lease] = LEASE
  s[b + W.deadline] = LEASE - MARGIN
  s[b + W.isOfCurrentTerm] = 0
}

const FENCES: readonly number[] = [
  G.claimFence,
  G.runFence,
  G.settledFence,
  ...WORKERS.flatMap((worker) => {
    const b = baseOf(worker)
    return [
      b + W.fence,
      b + W.orphanFence,
      b + W.keptFence,
      b + W.spares,
      b + W.lateFreeSpares,
      b + W.lateSettleFence,
      b + W.admission + A.orphanFence,
      b + W.admission + A.earlyFence,
      b + W.lateAdmission + A.orphanFence,
      b + W.lateAdmission + A.earlyFence,
    ]
  }),
]

/** Fields that name a term (as it is, or plus one where 0 says none). */
export const TERM_FIELDS: readonly number[] = [
  G.claimTerm,
  ...WORKERS.flatMap((worker) => {
    const b = baseOf(worker)
    return [b + W.admission + A.term, b + W.lateAdmission + A.term]
  }),
]

/** The next value of the sequence. */
export function nextFence(s: State): number {
  let highest = 0
  for (const field of FENCES) if (s[field]! > highest) highest = s[field]!
  return highest + 1
}

function names(s: State, term: number): boolean {
  if (s[G.claimTerm] === term && s[G.claim] === Claim.held) return true
  for (const worker of WORKERS) {
    const b = baseOf(worker)
    if (s[b + W.lateFreeTerm] === term + 1) return true
    for (const a of [b + W.admission, b + W.lateAdmission]) {
      if (s[a + A.step]! > 0 && (s[a + A.term] === term || s[a + A.retires] === term)) return true
    }
  }
  return false
}

/** Drops what can no longer matter: only the order of fences counts, and the lease of a term that nothing names does not. */
export function normalise(s: State): void {
  if (s[G.claim] !== Claim.held) {
    s[G.claimTerm] = 0
    s[G.claimDelivery] = 0
  }
  if (s[G.claim] === Claim.cooling && s[G.cooldown] === 0) s[G.claim] = Claim.free
  if (s[G.run] === Run.succeeded || s[G.run] === Run.failed) s.fill(0, G.known, G.known + 2)
  if (s[G.lock] === 0) s[G.lockCount] = 0
  for (const worker of WORKERS) {
    const b = baseOf(worker)
    if (s[b + W.goneLease]! > 0 && !names(s, goneTermOf(worker))) s[b + W.goneLease] = 0
    const isIdle = s[b + W.phase] === Phase.idle
    // While nothing names its term, when an idle process renews it makes no difference.
    if (s[b + W.isAlive] === 1 && isIdle && s[b + W.isFrozen] === 0 && !names(s, termOf(worker))) {
      s[b + W.lease] = LEASE
      s[b + W.deadline] = LEASE - MARGIN
    }
    const hasLate = s[b + W.lateAdmission + A.step]! > 0
    if (
      isIdle &&
      !hasLate &&
      s[b + W.isFreeing] === 0 &&
      !(s[G.claim] === Claim.held && s[G.claimTerm] === termOf(worker))
    ) {
      s[b + W.hasSuspect] = 0
    }
    if (s[G.lock] !== oldSessionOf(worker) && !hasLate) s[b + W.hasOldSession] = 0
  }
  let used = 0
  for (const field of FENCES) used |= 1 << s[field]!
  used &= ~1
  for (const field of FENCES) {
    const fence = s[field]!
    if (fence > 0) s[field] = countBits(used & ((1 << fence) - 1)) + 1
  }
}

function countBits(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++
  return count
}

/** The same state with the two workers' names exchanged. */
export function swapWorkers(s: State, into: State): void {
  into.set(s.subarray(0, GLOBALS))
  into.set(s.subarray(GLOBALS, GLOBALS + WORKER), GLOBALS + WORKER)
  into.set(s.subarray(GLOBALS + WORKER, GLOBALS + 2 * WORKER), GLOBALS)
  if (into[G.lock]! > 0) into[G.lock] = ((into[G.lock]! - 1) ^ 1) + 1
  for (const field of TERM_FIELDS) if (into[field]! > 0) into[field] = ((into[field]! - 1) ^ 1) + 1
  for (const worker of WORKERS) {
    const b = baseOf(worker)
    if (into[b + W.lateFreeTerm]! > 1) into[b + W.lateFreeTerm] = ((into[b + W.lateFreeTerm]! - 2) ^ 1) + 2
    for (const a of [b + W.admission, b + W.lateAdmission]) {
      if (into[a + A.retires]! > 0) into[a + A.retires] = ((into[a + A.retires]! - 1) ^ 1) + 1
    }
  }
  for (const delivery of DELIVERIES) {
    const at = into[G.queue + delivery]!
    if (at === Queue.outAt || at === Queue.outAt + 1) into[G.queue + delivery] = at ^ 1
  }
}
