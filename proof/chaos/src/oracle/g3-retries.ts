import { type Against, type Case, isTerminal, show } from './case.ts'
import { NANOS_PER_MS } from './sections.ts'

/** G3: a failure that is not terminal never blocks its retry. */
export function judgeRetries({ answers, byFence, byWork, settled, rules }: Case, against: Against): void {
  for (const [deliveryId, told] of Map.groupBy(answers, (answer) => answer.deliveryId)) {
    for (const [index, { answer, work, askedAt }] of told.entries()) {
      if (answer.kind !== 'skipped' || answer.reason !== 'cooldown') continue
      const holder = answer.holder === null ? undefined : byFence.get(answer.holder.fence)
      if (holder?.ending === 'threw' || holder?.ending === 'stopped') {
        against('G3', `${deliveryId} was refused for a failure that is to be retried: ${show(answer)}`)
        continue
      }
      // Answers that decide nothing (later, unavailable) may lie between.
      const before = told.slice(0, index).findLast((one) => one.answer.kind === 'executed')?.answer
      const failed = before?.kind === 'executed' ? byFence.get(before.fence) : undefined
      if (failed === undefined || isTerminal(failed)) continue
      const cooldown = BigInt(rules.cooldownMs(work)) * NANOS_PER_MS
      const isCooling = (byWork.get(work) ?? []).some(
        (other) =>
          isTerminal(other) &&
          settled.has(other.fence) &&
          (other.fence > failed.fence || other.endedAt! + cooldown > askedAt),
      )
      if (!isCooling) against('G3', `the retry of ${deliveryId} was refused: ${show(answer)}`)
    }
  }
}
