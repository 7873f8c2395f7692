/** `pnpm model`: explores the claim protocol, or its mutants, and prints what was seen. */
import { parseArgs } from 'node:util'
import { assertCommandOptions, orExit, wrongOption } from '../../../tools/lib/command-options.ts'
import { explore, type Failure, type Report } from './explore.ts'
import { coveredSystemOf, MUTANTS, type Mutant, systemOf } from './mutants.ts'
import { MODES, type Mode } from './rules.ts'
import { DEFAULT_SCENARIOS, type Scenario, systemFor } from './scenarios.ts'

const USAGE = `pnpm model [options]

  --mode M         one of ${MODES.join(', ')} (default: each of them)
  --faults N       faults in each order, 0 to 5 (default: the scenarios of docs/model.md)
  --deliveries N   deliveries of the work, 1 or 2
  --silence        processes only fall silent, instead of all kinds of faults
  --mutants        breaks the protocol on purpose, one rule at a time, and shows that each break is caught
  --trace M        the shortest way to the break of this mutant
  --help           this

Mutants: ${MUTANTS.map(({ name }) => name).join(', ')}
`

const OPTIONS = {
  mode: { type: 'string', allowed: MODES.join(', ') },
  faults: { type: 'string', allowed: 'a whole number from 0 to 5' },
  deliveries: { type: 'string', allowed: '1 or 2' },
  silence: { type: 'boolean', default: false },
  mutants: { type: 'boolean', default: false },
  trace: { type: 'string', allowed: MUTANTS.map(({ name }) => name).join(', ') },
  help: { type: 'boolean', default: false },
} as const

const { help, mutants, modes, scenarios, traced } = orExit(readOptions)

const write = (line = '') => process.stdout.write(`${line}\n`)
const count = (n: number) => n.toLocaleString('en-GB')

if (help) write(USAGE)
else if (traced !== null) traceMutant(traced)
else if (mutants) runMutants()
else runProtocol()

function readOptions() {
  const args = process.argv.slice(2).filter((arg) => arg !== '--')
  assertCommandOptions(args, OPTIONS)
  const { values } = parseArgs({ args, options: OPTIONS })
  const isDefault = values.faults === undefined && values.deliveries === undefined && !values.silence
  const scenarios: readonly Scenario[] = isDefault
    ? DEFAULT_SCENARIOS
    : [
        {
          faults: numberNamed('faults', values.faults ?? '1', 0, 5),
          deliveries: numberNamed('deliveries', values.deliveries ?? '2', 1, 2) as 1 | 2,
          alphabet: values.silence ? 'silence' : 'all',
        },
      ]
  return {
    help: values.help,
    mutants: values.mutants,
    modes: values.mode === undefined ? MODES : [modeNamed(values.mode)],
    scenarios,
    traced: values.trace === undefined ? null : mutantNamed(values.trace),
  }
}

function runProtocol(): void {
  const startedAt = performance.now()
  let states = 0
  let isComplete = true
  for (const mode of modes) {
    for (const scenario of scenarios) {
      const report = explore(systemFor(mode, scenario))
      states += report.states
      write(describe(report, scenario.deliveries, scenario.alphabet))
      if (report.failure !== null) writeFailure(report.failure)
      isComplete &&= report.isComplete
    }
  }
  write(
    `\nChecked in each: G1 exclusion, G2 cooldown, G3 retries, G4 final attempt, G5 nothing lost, and that from every state the work can still come to rest.`,
  )
  write(
    'Excluded: an overlap with a process that is frozen past its lease, in session mode only when it is also cut off from its lock.',
  )
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
  const megabytes = Math.round(process.resourceUsage().maxRSS / 1_024)
  const cost = `${count(states)} in ${seconds} s, ${count(megabytes)} MB`
  if (isComplete) write(`All reachable states were visited: ${cost}.`)
  else {
    process.exitCode = 1
    write(`Not all reachable states were visited, and progress was not judged where it says so: ${cost}.`)
  }
}

function describe(report: Report, deliveries: number, alphabet: Scenario['alphabet']): string {
  const { mode, faults, states, transitions, depth, excludedOverlaps, durationMs, failure, isComplete } =
    report
  return [
    `${mode.padEnd(7)}  ${faults} ${faults === 1 ? 'fault ' : 'faults'}`,
    `${deliveries} ${deliveries === 1 ? 'delivery  ' : 'deliveries'}`,
    alphabet === 'all' ? 'all faults  ' : 'silence only',
    `${count(states).padStart(9)} states`,
    `${count(transitions).padStart(10)} transitions`,
    `depth ${String(depth).padStart(2)}`,
    `${count(excludedOverlaps).padStart(6)} excluded overlaps`,
    `${(durationMs / 1_000).toFixed(1).padStart(5)} s`,
    failure !== null ? `BROKEN: ${failure.invariant}` : isComplete ? 'holds' : 'holds as far as the bound',
  ].join('  ')
}

function runMutants(): void {
  for (const mutant of MUTANTS) {
    const { failure } = explore(systemOf(mutant), { checksProgress: mutant.breaks === 'liveness' })
    write(`${mutant.name}: ${mutant.without}`)
    if (failure === null) {
      write('  NOT CAUGHT')
      process.exitCode = 1
      continue
    }
    write(`  caught with ${whereOf(mutant)}: ${failure.invariant}, ${failure.message}`)
    writeTrace(failure)
    const covered = coveredSystemOf(mutant)
    if (covered === null) continue
    const report = explore(covered)
    const held = report.failure === null && report.isComplete
    write(
      `  ${held ? 'covered' : 'NOT COVERED'} in ${covered.mode} mode, ${covered.faults} faults: by ${mutant.covered!.by}`,
    )
    if (!held) process.exitCode = 1
  }
}

function traceMutant(mutant: Mutant): void {
  const { failure } = explore(systemOf(mutant), { checksProgress: mutant.breaks === 'liveness' })
  write(`${mutant.name} (${whereOf(mutant)}): ${mutant.without}`)
  if (failure !== null) writeTrace(failure)
}

function whereOf({ caughtIn: { mode, faults, deliveries } }: Mutant): string {
  return `${mode} mode, faults ${faults}, deliveries ${deliveries}`
}

function writeTrace({ trace }: Failure): void {
  trace.forEach((line, index) => {
    write(`    ${String(index + 1).padStart(2)}. ${line}`)
  })
}

function writeFailure(failure: Failure): void {
  process.exitCode = 1
  write(`  ${failure.invariant}: ${failure.message}`)
  writeTrace(failure)
}

function modeNamed(name: string): Mode {
  const mode = MODES.find((candidate) => candidate === name)
  if (mode === undefined) throw wrongOption('--mode', name, OPTIONS.mode.allowed)
  return mode
}

function mutantNamed(name: string): Mutant {
  const mutant = MUTANTS.find((candidate) => candidate.name === name)
  if (mutant === undefined) throw wrongOption('--trace', name, OPTIONS.trace.allowed)
  return mutant
}

function numberNamed(option: 'faults' | 'deliveries', text: string, least: number, most: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw wrongOption(`--${option}`, text, OPTIONS[option].allowed)
  return value
}
