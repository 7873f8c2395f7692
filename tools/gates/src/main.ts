import type { Gate } from './gate.ts'
import { seedGate } from './seed-gate.ts'
import { vitestGate } from './vitest-gate.ts'

/**
 * Runs the gates that are named, all of them when none is, goes on after a failure, and ends with a line for each:
 * what passed, or what did not.
 */
const GATES: readonly Gate[] = [
  vitestGate('suite', 'the full test suite'),
  vitestGate('constraints', 'the Postgres constraint suite', [
    'packages/core/test/constraints.test.ts',
    'packages/dedupe/test/constraints.test.ts',
    'packages/dedupe/test/acceptance/assignment-run-summary-counts.test.ts',
  ]),
  seedGate,
]

const names = process.argv.slice(2)
const unknown = names.filter((name) => !GATES.some((gate) => gate.name === name))
if (unknown.length > 0) {
  console.error(
    `There is no gate ${unknown.join(', ')}: allowed are ${GATES.map(({ name }) => name).join(', ')}`,
  )
  process.exit(2)
}

const lines: string[] = []
for (const { name, about, run } of GATES.filter((gate) => names.length === 0 || names.includes(gate.name))) {
  console.log(`\ngate:${name}, ${about}`)
  const startedAt = performance.now()
  const seconds = () => `${((performance.now() - startedAt) / 1_000).toFixed(1)} s`
  try {
    const passed = await run()
    lines.push(`passed  gate:${name}  ${passed}, ${seconds()}`)
  } catch (error) {
    process.exitCode = 1
    lines.push(`FAILED  gate:${name}  ${error instanceof Error ? error.message : error}, ${seconds()}`)
  }
}
console.log(`\n${lines.join('\n')}`)
