/** One trial in a process of its own: what is measured begins with empty heaps, cold plans and no timers of others. */
import { MEASURES } from './suites/measure.ts'
import type { Trial, TrialPlace, TrialReply } from './trial.ts'

const [trial, place] = process.argv.slice(2).map((text) => JSON.parse(text)) as [Trial, TrialPlace]

async function measured(): Promise<TrialReply> {
  const load = MEASURES[trial.suite]
  if (load === undefined) return { kind: 'failed', message: `There is no suite ${trial.suite}` }
  try {
    const measure = await load()
    return { kind: 'measured', figures: await measure(trial, place) }
  } catch (error) {
    return {
      kind: 'failed',
      message: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
    }
  }
}

const reply = await measured()
process.send!(reply, () => process.exit(0))
