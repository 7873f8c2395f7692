/**
 * A queue worker in a process of its own. What must be in place before the library is loaded comes first: a wall clock
 * that is wrong, and the mutant that is to be caught.
 */
import { applyMutant } from '../mutants/apply.ts'
import type { WorkerSettings } from './messages.ts'
import { skewClock } from './skew-clock.ts'

const settings = JSON.parse(process.argv[2]!) as WorkerSettings
if (settings.clockSkewMs !== 0) skewClock(settings.clockSkewMs)
if (settings.mutant !== null) applyMutant(settings.mutant)
const { work } = await import('./work.ts')
await work(settings)
