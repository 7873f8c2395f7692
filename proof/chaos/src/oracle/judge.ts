import type { Evidence } from '../arena/arena.ts'
import { type Against, openCase } from './case.ts'
import { judgeExclusion } from './g1-exclusion.ts'
import { judgeCooldown } from './g2-cooldown.ts'
import { judgeRetries } from './g3-retries.ts'
import { judgeFinalAttempt } from './g4-final-attempt.ts'
import { judgeHistory } from './g4-history.ts'
import { judgeNothingLost } from './g5-nothing-lost.ts'
import { judgeReasons } from './g5-reasons.ts'
import { judgeHostSafe } from './g6-host-safe.ts'
import { judgeNoSecret } from './g7-no-secret.ts'
import type { Rules, Ruling, Violation } from './ruling.ts'

export { GUARANTEES, type Guarantee, type Rules, type Ruling } from './ruling.ts'

/**
 * Decides from the journal, the tables and the queue alone; nothing of the library's own word is taken but verdicts. G8
 * is judged where the host's writes are: see `g8-host-writes.ts`.
 */
export function judge(evidence: Evidence, rules: Rules): Ruling {
  const violations: Violation[] = []
  const against: Against = (guarantee, what) => violations.push({ guarantee, what })
  const one = openCase(evidence, rules)
  const exempted = judgeExclusion(one, against)
  judgeCooldown(one, against)
  judgeRetries(one, against)
  judgeFinalAttempt(one, against)
  judgeHistory(one, against)
  judgeNothingLost(one, against)
  judgeReasons(one, against)
  judgeHostSafe(one, against)
  judgeNoSecret(one, against)
  return { sections: one.sections, answers: one.answers, exempted, violations }
}
