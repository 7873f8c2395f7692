import type { Figures, Trial, TrialPlace } from '../trial.ts'

type Measure = (trial: Trial, place: TrialPlace) => Promise<Figures>

const jobs = async () => (await import('./jobs.ts')).measureJobs

/** How the trials of each suite are made; the child process loads the one that it needs. */
export const MEASURES: Readonly<Record<string, () => Promise<Measure>>> = {
  jobs,
  statements: async () => (await import('./statements.ts')).countStatements,
  'one-identity': async () => (await import('./duplicates.ts')).measureOneIdentity,
  'mostly-duplicates': async () => (await import('./duplicates.ts')).measureMostlyDuplicates,
  queues: async () => (await import('./queues.ts')).measureQueue,
  'slow-commits': jobs,
  growth: async () => (await import('./growth.ts')).measureGrowth,
  memory: async () => (await import('./memory.ts')).measureMemory,
  fairness: async () => (await import('./fairness.ts')).measureFairness,
}
