import { admitFunction } from '../../src/sql/admit.ts'
import { admitOneFunction, admitUnopposedFunction, tryLock } from '../../src/sql/admit-unopposed.ts'
import { settleFunction, settleOneFunction } from '../../src/sql/settle.ts'

/** Functions of the schema with one promise taken out, to show that the tests would notice. */
const admit = admitFunction('opsledger', 'opsledger')
const admitUnopposed = admitUnopposedFunction('opsledger', 'opsledger')
const admitOne = admitOneFunction('opsledger', 'opsledger')

/** Whoever holds the claim, it can be had. */
const WITHOUT_ROW: Change[] = [
  ['if not (seen.got = 2 and', 'if false and not (seen.got = 2 and'],
  ['if not opsledger.retire_expired_term(', 'if false and not opsledger.retire_expired_term('],
  [`where c.state = 'free'`, `where true or c.state = 'free'`],
]

/** No advisory lock is taken. */
const WITHOUT_LOCK: Change[] = [
  ['pg_try_advisory_lock(k.target_key)', 'true'],
  ['pg_try_advisory_xact_lock(k.target_key)', 'true'],
]

/** The same on the short way, of many and of one. */
const SHORT_WITHOUT_LOCK = [
  replacing(admitUnopposed, [tryLock('key'), 'true']),
  replacing(admitOne, [tryLock('v_lock_key'), 'true']),
]

export const ADMIT_WITHOUT_ROW = replacing(admit, ...WITHOUT_ROW)
export const ADMIT_WITHOUT_LOCK = [replacing(admit, ...WITHOUT_LOCK), ...SHORT_WITHOUT_LOCK].join(';')
export const ADMIT_WITHOUT_EITHER = [
  replacing(admit, ...WITHOUT_ROW, ...WITHOUT_LOCK),
  ...SHORT_WITHOUT_LOCK,
].join(';')
export const SETTLE_WITHOUT_FENCE = [
  replacing(settleFunction('opsledger', 'opsledger'), ['and c.fence = i.fence', '']),
  replacing(
    settleOneFunction('opsledger', 'opsledger'),
    ['and fence = p_fence', ''],
    ['and r.fence = p_fence', ''],
  ),
].join(';')

type Change = readonly [from: string, to: string]

/** A function of the schema, changed; where it no longer says what is to be changed, the mutant is none. */
export function replacing(text: string, ...changes: readonly Change[]): string {
  let changed = text.replace('create function', 'create or replace function')
  for (const [from, to] of changes) {
    if (!changed.includes(from)) throw new Error(`The function no longer says: ${from}`)
    changed = changed.replaceAll(from, () => to)
  }
  return changed
}
