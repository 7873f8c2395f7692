import { writeFileSync } from 'node:fs'
import { readFacts } from './facts.ts'
import { type Options, readOptions, USAGE, UsageError } from './options.ts'
import { CASE_NAMES, chosen, SUITES } from './plan.ts'
import { publish } from './publish.ts'
import { goalsTable } from './report/markdown.ts'
import type { Results } from './results.ts'
import { runSuites } from './run-suites.ts'
import { openSite } from './site.ts'

const options = optionsOrExit()
if (options.help) {
  console.log(USAGE)
  process.exit(0)
}
await using site = await openSite(options.url)
const facts = await readFacts(site)
console.log(Object.values(facts).join('; '))
const { url: _, redisUrl: __, json: ___, ...asked } = options
const results: Results = {
  date: new Date().toISOString().slice(0, 10),
  facts,
  options: asked,
  ...(await runSuites(site, options)),
}
if (!options.isQuick) console.log(`\n${goalsTable(results.trials)}\n`)
if (options.publish) publish(results)
if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`)
const failures = results.trials.filter(({ failure }) => failure !== null)
for (const { suite, case: name, setting, failure } of failures) {
  console.error(`failed ${suite}/${name}/${setting}: ${failure}`)
}
process.exitCode = failures.length > 0 ? 1 : 0

function optionsOrExit(): Options {
  const names = { suites: SUITES.map(({ name }) => name), cases: CASE_NAMES }
  try {
    const read = readOptions(process.argv.slice(2), names)
    if (!read.help) chosen(read)
    return read
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(error.message)
    process.exit(2)
  }
}
