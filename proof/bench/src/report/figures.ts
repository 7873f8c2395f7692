/** What a figure is called in a table, and how it is written; figures that are not here appear in no table. */
export const FIGURES: Readonly<Record<string, { readonly title: string }>> = {
  jobsPerSecond: { title: 'jobs/s' },
  deliveriesPerSecond: { title: 'deliveries/s' },
  p50Ms: { title: 'p50 ms' },
  p99Ms: { title: 'p99 ms' },
  cpuMsPerJob: { title: 'Node CPU ms/job' },
  cpuMsPerDelivery: { title: 'Node CPU ms/delivery' },
  walBytesPerJob: { title: 'WAL bytes/job' },
  transactionsPerJob: { title: 'transactions/job' },
  statementsPerJob: { title: 'statements/job' },
  roundTripsPerJob: { title: 'round trips/job' },
  roundTripsPerLocalDuplicate: { title: 'round trips/duplicate of running work' },
  connections: { title: 'connections' },
  peakRssMiB: { title: 'peak RSS MiB' },
  peakHeapMiB: { title: 'peak heap MiB' },
  heapBytesPerWaiting: { title: 'heap bytes/waiting' },
  emptyJobsPerSecond: { title: 'jobs/s, empty' },
  grownJobsPerSecond: { title: 'jobs/s, grown' },
  pruningJobsPerSecond: { title: 'jobs/s while pruning' },
  prunedRuns: { title: 'runs pruned' },
  pruneSeconds: { title: 'seconds to prune' },
  listP50Ms: { title: 'list page p50 ms' },
  listP99Ms: { title: 'list page p99 ms' },
  getP50Ms: { title: 'read by id p50 ms' },
  getP99Ms: { title: 'read by id p99 ms' },
  slowBatchMs: { title: 'slow batch ms' },
  medianDelayInBatches: { title: 'lone job, in batches (median)' },
  worstDelayInBatches: { title: 'lone job, in batches (worst)' },
}

/** Three digits are what the spread of the runs allows. */
export function shortNumber(value: number): string {
  if (Number.isNaN(value)) return '–'
  const rounded = Number(value.toPrecision(3))
  return Math.abs(rounded) >= 1_000 ? rounded.toLocaleString('en-GB') : String(rounded)
}
