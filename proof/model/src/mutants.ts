/** The protocol with one thing taken away, and what breaks then. */
import { type Invariant, type Mode, PROTOCOL, type Rules } from './rules.ts'
import type { System } from './steps.ts'

export interface Mutant {
  readonly name: string
  readonly without: string
  readonly rules: Partial<Rules>
  /** Where it is caught, with the smallest budget that does it. */
  readonly caughtIn: Where
  readonly breaks: Invariant
  /** Where something else covers for it, and nothing breaks; with the part of `rules` that is covered there. */
  readonly covered?: { readonly in: Where; readonly by: string; readonly rules?: Partial<Rules> }
}

type Where = Pick<System, 'mode' | 'faults' | 'deliveries' | 'alphabet'>

const at = (mode: Mode, faults: number, deliveries: 1 | 2, alphabet: System['alphabet'] = 'all'): Where => ({
  mode,
  faults,
  deliveries,
  alphabet,
})

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'lease-only',
    without: 'the advisory lock is never tried',
    rules: { locks: false },
    caughtIn: at('session', 1, 1),
    breaks: 'G1',
    covered: { in: at('lease', 1, 1), by: 'the row; in lease mode the lock only saves work' },
  },
  {
    name: 'no-lease',
    without: 'whoever has the lock takes a held claim, however alive its lease is',
    rules: { respectsLease: false },
    caughtIn: at('session', 1, 2),
    breaks: 'G1',
    covered: { in: at('session', 0, 2), by: 'the lock, until a connection is lost' },
  },
  {
    name: 'lock-only',
    without: 'no lease at all: nobody asks for one, and nobody aborts for one',
    rules: { respectsLease: false, hasDeadline: false },
    caughtIn: at('session', 1, 2),
    breaks: 'G1',
    covered: { in: at('session', 0, 2), by: 'the lock, until a connection is lost' },
  },
  {
    name: 'no-deadline',
    without: 'a process that cannot renew goes on',
    rules: { hasDeadline: false },
    caughtIn: at('session', 1, 1),
    breaks: 'G1',
  },
  {
    name: 'no-fence',
    without: 'a settlement is written whatever the fence says',
    rules: { checksFence: false },
    caughtIn: at('lease', 1, 1),
    breaks: 'G4',
  },
  {
    name: 'early-fence',
    without: 'the fence is taken before the row is locked, and no lock is tried',
    rules: { fenceUnderRowLock: false, locks: false },
    caughtIn: at('lease', 0, 2),
    breaks: 'G4',
    covered: {
      in: at('lease', 1, 1),
      by: 'the lock, which keeps everybody away between the look and the claim',
      rules: { fenceUnderRowLock: false },
    },
  },
  {
    name: 'snapshot-retire',
    without: 'a lease that a snapshot shows run out is taken as retired',
    rules: { retiresConditionally: false },
    caughtIn: at('lease', 1, 1),
    breaks: 'G1',
  },
  {
    name: 'adopt-blind',
    without: 'a new term goes on with everything, whoever has taken it',
    rules: { adoptsByFence: false },
    caughtIn: at('lease', 1, 1),
    breaks: 'G1',
  },
  {
    name: 'relock-blind',
    without:
      'a session that is back does not ask which fences still count, and nothing aborts at the deadline',
    rules: { reconfirms: false, hasDeadline: false },
    caughtIn: at('session', 1, 1),
    breaks: 'G1',
    covered: {
      in: at('session', 1, 1),
      by: 'the deadline: what could be taken was aborted before, or is adopted with the next renewal',
      rules: { reconfirms: false },
    },
  },
  {
    name: 'no-relock',
    without: 'a session that is back does not ask for its lock',
    rules: { relocks: false },
    caughtIn: at('session', 2, 1, 'silence'),
    breaks: 'G1',
    covered: { in: at('session', 1, 1), by: 'the lease, until the process freezes as well' },
  },
  {
    name: 'unlock-early',
    without: 'the lock is let go before the settlement has committed, and is the only key',
    rules: { unlocksAfterCommit: false, respectsLease: false },
    caughtIn: at('session', 0, 2),
    breaks: 'G4',
    covered: {
      in: at('session', 1, 1),
      by: 'the row, held until the commit',
      rules: { unlocksAfterCommit: false },
    },
  },
  {
    name: 'discard-same',
    without: 'the delivery that executes, delivered again, is acknowledged as a duplicate',
    rules: { putsOffSameDelivery: false, putsOffKnownDeliveries: false },
    caughtIn: at('session', 1, 1),
    breaks: 'G5',
  },
  {
    name: 'discard-known',
    without: 'a delivery for which others were discarded is itself discarded for a later holder',
    rules: { putsOffKnownDeliveries: false },
    caughtIn: at('session', 1, 2),
    breaks: 'G5',
  },
  {
    name: 'orphan-kept',
    without: 'a process neither frees its orphans nor takes them over',
    rules: { freesOrphans: false, takesOverOrphans: false },
    caughtIn: at('lease', 1, 1),
    breaks: 'liveness',
  },
  {
    name: 'free-while-settling',
    without: 'an orphan is freed although its settlement is still to be sent again',
    rules: { sparesKept: false },
    caughtIn: at('lease', 1, 1),
    breaks: 'G4',
  },
  {
    name: 'free-late',
    without: 'a freeing of orphans that outlives its client frees what was admitted after it was sent',
    rules: { freesOnlyOlder: false },
    caughtIn: at('lease', 2, 1),
    breaks: 'G4',
  },
  {
    name: 'no-cooldown',
    without: 'a terminal settlement starts no cooldown',
    rules: { startsCooldown: false },
    caughtIn: at('session', 0, 2),
    breaks: 'G2',
  },
  {
    name: 'cooldown-after-failure',
    without: 'a failure that is not terminal starts a cooldown too',
    rules: { coolsOnlyTerminal: false },
    caughtIn: at('session', 0, 2),
    breaks: 'G3',
  },
  {
    name: 'settle-again',
    without: 'a settlement that is sent again is written again',
    rules: { settlesOnce: false },
    caughtIn: at('session', 1, 1),
    breaks: 'G4',
  },
]

export function systemOf(mutant: Mutant): System {
  return { ...mutant.caughtIn, rules: { ...PROTOCOL, ...mutant.rules } }
}

/** The same fault where something else covers for it. */
export function coveredSystemOf({ covered, rules }: Mutant): System | null {
  if (covered === undefined) return null
  return { ...covered.in, rules: { ...PROTOCOL, ...(covered.rules ?? rules) } }
}
