/** What a variant of the protocol does; every mutant takes one or two of these away. */
export interface Rules {
  /** Admission tries the advisory lock, and a lost session asks for it again. */
  readonly locks: boolean
  /** Only a claim whose lease is retired is taken. */
  readonly respectsLease: boolean
  /** A process that cannot renew in time aborts. */
  readonly hasDeadline: boolean
  /** A settlement counts only where the claim is still at its fence. */
  readonly checksFence: boolean
  /** The fence is taken when the row is locked, not before. */
  readonly fenceUnderRowLock: boolean
  /** A lease is retired by an update that a renewal excludes, not by what a snapshot showed. */
  readonly retiresConditionally: boolean
  /** A new term takes along only what is still its own. */
  readonly adoptsByFence: boolean
  /** A session that is back asks which of its fences still count. */
  readonly reconfirms: boolean
  /** A session that is back asks for its locks. */
  readonly relocks: boolean
  readonly unlocksAfterCommit: boolean
  /** The delivery that is executing, delivered again, is put off and not acknowledged. */
  readonly putsOffSameDelivery: boolean
  /** So is any delivery that the open run was executed for before: others were discarded for it. */
  readonly putsOffKnownDeliveries: boolean
  /** The process frees its orphans. */
  readonly freesOrphans: boolean
  /** The process takes its orphan over when the work comes again. */
  readonly takesOverOrphans: boolean
  /** What still has its settlement is no orphan. */
  readonly sparesKept: boolean
  /** A statement that frees orphans spares what was admitted after it was sent. */
  readonly freesOnlyOlder: boolean
  /** A terminal settlement starts the cooldown. */
  readonly startsCooldown: boolean
  /** Only a terminal settlement does. */
  readonly coolsOnlyTerminal: boolean
  /** A settlement that was sent before changes nothing the second time. */
  readonly settlesOnce: boolean
}

export const PROTOCOL: Rules = {
  locks: true,
  respectsLease: true,
  hasDeadline: true,
  checksFence: true,
  fenceUnderRowLock: true,
  retiresConditionally: true,
  adoptsByFence: true,
  reconfirms: true,
  relocks: true,
  unlocksAfterCommit: true,
  putsOffSameDelivery: true,
  putsOffKnownDeliveries: true,
  freesOrphans: true,
  takesOverOrphans: true,
  sparesKept: true,
  freesOnlyOlder: true,
  startsCooldown: true,
  coolsOnlyTerminal: true,
  settlesOnce: true,
}

export type Mode = 'session' | 'lease' | 'mixed'
export const MODES: readonly Mode[] = ['session', 'lease', 'mixed']

/** Mixed: the first worker holds session locks, the second has only leases. */
export function hasSession(mode: Mode, worker: number): boolean {
  return mode === 'session' || (mode === 'mixed' && worker === 0)
}

export type Invariant = 'G1' | 'G2' | 'G3' | 'G4' | 'G5' | 'liveness'

export class Violation extends Error {
  readonly invariant: Invariant
  constructor(invariant: Invariant, message: string) {
    super(message)
    this.invariant = invariant
  }
}
