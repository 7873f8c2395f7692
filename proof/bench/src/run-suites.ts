import { availableParallelism } from 'node:os'
import { createLimit } from './limit.ts'
import type { Options } from './options.ts'
import { chosen, needsRedis, type Suite } from './plan.ts'
import { shortNumber } from './report/figures.ts'
import { Gathering } from './results.ts'
import { runTrial } from './run-trial.ts'
import { openSite, type Site } from './site.ts'
import type { Trial } from './trial.ts'

/**
 * Runs every trial once, then every trial again, and so on: what the machine does at one time of the day falls on all
 * cases alike.
 * @throws the reason of the signal, once nothing is left of the trials
 */
export async function runSuites(site: Site, options: Options, interrupted: AbortSignal) {
  const gathering = new Gathering()
  const skipped = new Set<string>()
  for (const { suite, trials } of chosen(options)) {
    if (suite.settings !== undefined && !site.isOwn) {
      skipped.add(`${suite.name}: it sets the server up for itself, so it runs on an embedded one alone`)
      continue
    }
    const runnable = trials.filter(({ case: name }) => {
      if (!needsRedis(name) || options.redisUrl !== null) return true
      skipped.add(`${name}: it needs Redis, and OPSLEDGER_REDIS_URL is not set`)
      return false
    })
    if (runnable.length === 0) continue
    console.log(`\n${suite.title}`)
    await using own = suite.settings === undefined ? null : await openSite(null, suite.settings)
    await runSuite(suite, runnable, { site: own ?? site, options, gathering, interrupted })
  }
  for (const line of skipped) console.log(`skipped ${line}`)
  return { trials: gathering.results(), skipped: [...skipped] }
}

interface Run {
  readonly site: Site
  readonly options: Options
  readonly gathering: Gathering
  readonly interrupted: AbortSignal
}

async function runSuite(
  suite: Suite,
  trials: readonly Trial[],
  { site, options, gathering, interrupted }: Run,
): Promise<void> {
  const repeats = Math.min(options.repeats, suite.repeats ?? options.repeats)
  // Where speed is not looked at, the cores are shared.
  const limit = createLimit(options.isQuick ? availableParallelism() : 1)
  for (let repeat = 1; repeat <= repeats; repeat++) {
    const runOne = async (trial: Trial) => {
      if (gathering.hasFailed(trial) || interrupted.aborted) return
      const reply = await runTrial(trial, site, options.redisUrl, interrupted)
      // Its process was ended, and what it says of that is no result.
      if (interrupted.aborted) return
      const label = `  ${repeat}/${repeats} ${trial.case.padEnd(20)} ${trial.setting.padEnd(16)}`
      if (reply.kind === 'measured') {
        gathering.add(trial, reply.figures)
        console.log(`${label} ${describe(reply.figures)}`)
      } else {
        gathering.fail(trial, reply.message)
        console.log(`${label} failed: ${reply.message}`)
      }
    }
    await Promise.all(trials.map((trial) => limit(() => runOne(trial))))
    interrupted.throwIfAborted()
  }
}

function describe(figures: Readonly<Record<string, number>>): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${shortNumber(value)}`)
    .join(', ')
}
