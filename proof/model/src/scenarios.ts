import { type Mode, PROTOCOL } from './rules.ts'
import type { System } from './steps.ts'

export type Scenario = Pick<System, 'faults' | 'deliveries' | 'alphabet'>

/** What `pnpm model` explores in each mode. Two faults of every kind with two deliveries are too many for a minute. */
export const DEFAULT_SCENARIOS: readonly Scenario[] = [
  { faults: 1, deliveries: 2, alphabet: 'all' },
  { faults: 2, deliveries: 1, alphabet: 'silence' },
]

export function systemFor(mode: Mode, scenario: Scenario): System {
  return { mode, rules: PROTOCOL, ...scenario }
}
