import type { RunSettlement } from '@opsledger/core/guard'

/** How settlements are put to the database: a function of the schema, with its arguments. */
export function wayToSettle(settlements: readonly RunSettlement[]): { name: string; args: unknown[] } {
  const one = settlements[0]!
  const isLone = settlements.length === 1 && one.run_id !== null
  return isLone
    ? { name: 'settle_one', args: valuesOf(one) }
    : { name: 'settle', args: [JSON.stringify(settlements)] }
}

const valuesOf = (one: RunSettlement): unknown[] => [
  one.run_id,
  one.identity,
  one.fence,
  one.status,
  one.outcome,
  one.total,
  one.processed,
  one.failed,
  one.item_failures === null ? null : JSON.stringify(one.item_failures),
  one.reason_code,
  one.message,
  one.cooldown_ms,
]
