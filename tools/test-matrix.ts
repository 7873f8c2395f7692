import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { embeddedVersion, POSTGRES_MAJORS } from '../packages/testing/src/index.ts'
import { assertCommandOptions, orExit, wrongOption } from './lib/command-options.ts'
import { installPostgres } from './lib/older-postgres.ts'
import { root } from './lib/root.ts'

/**
 * `pnpm test:matrix [--project <name>]... [<major>]...`: the tests of these projects on the embedded build of each
 * of these majors, one after another, all of them unless told otherwise. Ends with a line for each, and fails when
 * one has failed.
 */
const PROJECTS = ['core', 'dedupe', 'seed', 'testing']
/** Those that take a Postgres as well, and are run on the others only when they are named. */
const MORE_PROJECTS = ['snippets', 'assignment-worker', 'queues', 'chaos']
const ALL_PROJECTS = [...PROJECTS, ...MORE_PROJECTS]

const USAGE = `pnpm test:matrix [--project <name>]... [<major>]...

  --project <name>   one of ${ALL_PROJECTS.join(', ')}; may be given
                     more than once (default: ${PROJECTS.join(', ')})
  <major>            one of ${POSTGRES_MAJORS.join(', ')}; more than one with spaces between (default: each of them)
  --help             this
`

const OPTIONS = {
  project: { type: 'string', multiple: true, allowed: ALL_PROJECTS.join(', ') },
  help: { type: 'boolean', default: false },
} as const

/** The part of Vitest's JSON report that is read here. */
interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numFailedTestSuites: number
}

const { majors, projects } = orExit(() => readArguments(process.argv.slice(2)))
const lines: string[] = []
for (const major of majors) {
  console.log(`\nPostgres ${major}: ${projects.join(', ')}`)
  const startedAt = performance.now()
  const outcome = await test(major).catch((error) => ({ hasPassed: false, counts: String(error) }))
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0)
  if (!outcome.hasPassed) process.exitCode = 1
  lines.push(
    `${outcome.hasPassed ? 'passed' : 'FAILED'}  Postgres ${embeddedVersion(major)}  ${outcome.counts}, ${seconds} seconds`,
  )
}
console.log(`\n${lines.join('\n')}`)

async function test(major: number): Promise<{ hasPassed: boolean; counts: string }> {
  await installPostgres(major)
  const folder = await mkdtemp(join(tmpdir(), 'opsledger-matrix-'))
  try {
    const output = join(folder, 'report.json')
    const exitCode = await runVitest(major, output)
    const report = JSON.parse(await readFile(output, 'utf8')) as Report
    const { numPassedTests, numFailedTests, numPendingTests, numFailedTestSuites } = report
    return {
      hasPassed: exitCode === 0 && numFailedTests + numFailedTestSuites === 0 && numPassedTests > 0,
      counts: `${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped`,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function runVitest(major: number, output: string): Promise<number | null> {
  const program = join(root, 'node_modules/vitest/vitest.mjs')
  const args = ['run', '--config', 'vitest.workspace.ts', '--reporter=default', '--reporter=json']
  const chosen = projects.flatMap((project) => ['--project', project])
  const { OPSLEDGER_DATABASE_URL: _, ...env } = process.env
  const vitest = spawn(process.execPath, [program, ...args, `--outputFile.json=${output}`, ...chosen], {
    cwd: root,
    env: { ...env, OPSLEDGER_DATABASE: 'embedded', OPSLEDGER_POSTGRES_MAJOR: String(major) },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [exitCode] = await once(vitest, 'exit')
  return exitCode
}

function readArguments(given: string[]): { majors: readonly number[]; projects: readonly string[] } {
  const args = given.filter((arg) => arg !== '--')
  assertCommandOptions(args, OPTIONS, { takesPositionals: true })
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: OPTIONS })
  if (values.help) {
    console.log(USAGE)
    process.exit(0)
  }
  for (const text of positionals) {
    if (!/^\d+$/.test(text) || !POSTGRES_MAJORS.includes(Number(text)))
      throw wrongOption('<major>', text, POSTGRES_MAJORS.join(', '))
  }
  const projects = values.project ?? PROJECTS
  for (const project of projects) {
    if (!ALL_PROJECTS.includes(project)) throw wrongOption('--project', project, OPTIONS.project.allowed)
  }
  const majors = positionals.length === 0 ? POSTGRES_MAJORS : positionals.map(Number)
  return { majors: [...new Set(majors)], projects: [...new Set(projects)] }
}
