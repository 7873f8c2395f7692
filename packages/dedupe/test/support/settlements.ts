import type { Settlement } from '@opsledger/core/guard'

/** How an attempt ends whose one item went well. */
export const SUCCEEDED: Settlement = {
  status: 'completed',
  outcome: 'succeeded',
  counts: { total: 1, processed: 1, failed: 0 },
  itemFailures: {},
  reasonCode: null,
  message: null,
  startsCooldown: true,
}
