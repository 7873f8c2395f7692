import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Gate, GateError } from './gate.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** The part of Vitest's JSON report that is read here. */
interface Report {
  readonly numTotalTests: number
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly testResults: readonly { readonly name: string; readonly assertionResults: readonly unknown[] }[]
}

/** Every test of the files, of all of them when none is named; each file that is named must have run. */
export function vitestGate(name: string, about: string, files: readonly string[] = []): Gate {
  return {
    name,
    about,
    async run() {
      const folder = await mkdtemp(join(tmpdir(), 'opsledger-gate-'))
      try {
        const output = join(folder, 'report.json')
        const exitCode = await runVitest(files, output)
        return judge(JSON.parse(await readFile(output, 'utf8')) as Report, files, exitCode)
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    },
  }
}

async function runVitest(files: readonly string[], output: string): Promise<number | null> {
  const args = ['run', '--config', 'vitest.workspace.ts', '--reporter=default', '--reporter=json']
  const program = join(root, 'node_modules/vitest/vitest.mjs')
  const vitest = spawn(process.execPath, [program, ...args, `--outputFile.json=${output}`, ...files], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [exitCode] = await once(vitest, 'exit')
  return exitCode
}

function judge(report: Report, files: readonly string[], exitCode: number | null): string {
  const { numTotalTests, numPassedTests, numFailedTests, numPendingTests, testResults } = report
  const skipped = numPendingTests === 0 ? '' : `, ${numPendingTests} skipped`
  const counts = `${numPassedTests} of ${numTotalTests} tests in ${testResults.length} files passed${skipped}`
  for (const file of files) {
    const result = testResults.find(({ name }) => name.endsWith(`/${file}`))
    if (result === undefined || result.assertionResults.length === 0) {
      throw new GateError(`${file} has no test that ran; ${counts}`)
    }
  }
  if (exitCode !== 0 || numFailedTests > 0 || numPassedTests === 0) {
    throw new GateError(`${counts}, ${numFailedTests} failed (exit code ${exitCode})`)
  }
  return counts
}
