import type { Nanos } from '@opsledger/testing'
import { type Against, type Case, isTerminal, show } from './case.ts'
import { NANOS_PER_MS, type Section } from './sections.ts'

/** G2: nothing starts within the cooldown of a terminal settlement. */
export function judgeCooldown({ byWork, rules, settled }: Case, against: Against): void {
  for (const [work, group] of byWork) {
    const cooldown = BigInt(rules.cooldownMs(work)) * NANOS_PER_MS
    if (cooldown === 0n) continue
    let coolsUntil: Nanos = 0n
    let cooling: Section | null = null
    for (const section of group) {
      const isTooEarly = section.startedAt < coolsUntil && !rules.isExempt?.(cooling!, section)
      if (isTooEarly) against('G2', `${show(section)} started within the cooldown`)
      // The settlement came after the end of the handler: its cooldown lasts at least until then.
      if (isTerminal(section) && settled.has(section.fence) && section.endedAt! + cooldown > coolsUntil) {
        coolsUntil = section.endedAt! + cooldown
        cooling = section
      }
    }
  }
}
