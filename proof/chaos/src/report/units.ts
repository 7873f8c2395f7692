/** What the N of a fault is a number of: the bound says something about one of these. */
const UNITS: Readonly<Record<string, string>> = {
  'worker-killed': 'kills',
  'lock-session-terminated': 'sessions terminated',
  'commit-cut': 'replies lost',
  'network-blackhole': 'hosts cut off',
  'transaction-pooler': 'sections',
  'postgres-restarts': 'restarts',
  'frozen-worker': 'freezes',
  'blocked-event-loop': 'blocks',
  'strict-isolation': 'sections',
  'pool-exhaustion': 'jobs',
  'clock-skew': 'sections',
  'server-reaping': 'sessions ended or statements cancelled',
  'slow-writes': 'writes stalled',
  'disk-full': 'times full',
  'migration-stampede': 'stampedes of 20',
  'exactly-once-effects': 'kills, freezes or cuts',
}

export function unitOf(fault: string): string {
  const unit = UNITS[fault]
  if (unit === undefined) throw new Error(`The fault ${fault} has no unit: say in units.ts what it counts`)
  return unit
}
