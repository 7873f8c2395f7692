import { exitFor, orExit } from '../../../tools/lib/command-options.ts'
import { interruptedExitCode, listenForInterruption } from '../../../tools/lib/interruption.ts'
import { assertWritable, writeJson } from '../../../tools/lib/json-file.ts'
import { readFacts } from './facts.ts'
import { readOptions, USAGE } from './options.ts'
import { CASE_NAMES, chosen, SUITES } from './plan.ts'
import { publish } from './publish.ts'
import { factsLine, goalsTable } from './report/markdown.ts'
import type { Results } from './results.ts'
import { runSuites } from './run-suites.ts'
import { openSite, type Site } from './site.ts'

const options = orExit(() => {
  const names = { suites: SUITES.map(({ name }) => name), cases: CASE_NAMES }
  const read = readOptions(process.argv.slice(2), names)
  if (read.help) return read
  chosen(read)
  if (read.json !== null) assertWritable(read.json)
  return read
})
if (options.help) {
  console.log(USAGE)
  process.exit(0)
}
const interrupted = listenForInterruption()
const exitCode = await openSite(options.url)
  .then(run)
  .catch((error) => {
    const code = interruptedExitCode(interrupted)
    if (code === null) return exitFor(error)
    console.error(String(error instanceof Error ? error.message : error))
    return code
  })
// Not by `process.exitCode` alone: what an interrupted trial left under way would keep the process.
process.exit(exitCode)

/** The exit code. @throws the reason of the signal, once nothing is left of the trials */
async function run(opened: Site): Promise<number> {
  await using site = opened
  interrupted.throwIfAborted()
  const facts = await readFacts(site)
  console.log(factsLine(facts))
  const { url: _, redisUrl: __, json: ___, ...asked } = options
  const results: Results = {
    date: new Date().toISOString().slice(0, 10),
    facts,
    options: asked,
    ...(await runSuites(site, options, interrupted)),
  }
  if (!options.isQuick) console.log(`\n${goalsTable(results.trials)}\n`)
  if (options.publish) publish(results)
  if (options.json !== null) writeJson(options.json, results)
  const failures = results.trials.filter(({ failure }) => failure !== null)
  for (const { suite, case: name, setting, failure } of failures) {
    console.error(`failed ${suite}/${name}/${setting}: ${failure}`)
  }
  return failures.length > 0 ? 1 : 0
}
