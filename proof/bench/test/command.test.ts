import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { useDatabase } from '@opsledger/testing/vitest'
import pg from 'pg'
import { afterAll, expect, test } from 'vitest'

const database = useDatabase()
const program = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'opsledger-bench-command-'))
afterAll(() => rmSync(folder, { recursive: true }))

const argsOf = (options: readonly string[]) => ['--conditions=opsledger-source', program, ...options]

function run(options: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, argsOf(options), (error, out, err) =>
      resolve({ code: Number(error?.code ?? 0), out, err }),
    )
  })
}

test.each<[string[], string]>([
  [['--qick'], '--qick is not an option; allowed: '],
  [['--only', 'queues,floor'], '--only selects nothing: '],
  [
    ['--json', '/nowhere/at/all.json'],
    '--json is "/nowhere/at/all.json"; allowed: a file that can be written',
  ],
  [['--url', 'postgres://127.0.0.1:1/x'], '--url names a server that does not answer: '],
])('%j ends with 2 and one line', async (options, message) => {
  const { code, err } = await run(options)
  expect(err.startsWith(message), err).toBe(true)
  expect(err.trimEnd().split('\n')).toHaveLength(1)
  expect(code).toBe(2)
})

test('the first line names the server once, and whose fsync it is; the results are written at the end', async () => {
  const json = join(folder, 'results.json')
  const options = ['--url', database.url, '--only', 'jobs,floor', '--quick', '--concurrency', '1']
  const { code, out } = await run([...options, '--json', json])
  const facts = out.split('\n', 1)[0]!
  expect(facts).toMatch(/^Postgres \d+\.\d+\b.* at the given URL; fsync on, /)
  expect(facts.match(/Postgres/g)).toHaveLength(1)
  expect(facts).toMatch(/; an fsync of this machine's disk takes \d+\.\d\d ms \(8 KiB, /)
  expect(JSON.parse(readFileSync(json, 'utf8'))).toMatchObject({ trials: [{ case: 'floor', failure: null }] })
  expect(code).toBe(0)
})

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s leaves no database, and a file of earlier results as it was', async (signal, exitCode) => {
  const json = join(folder, `${signal}.json`)
  writeFileSync(json, 'earlier results')
  // A trial that goes on for longer than it is left.
  const options = ['--only', 'jobs,floor', '--concurrency', '1', '--seconds', '600', '--json', json]
  const child = spawn(process.execPath, argsOf(['--url', database.url, ...options]), { stdio: 'ignore' })
  const exited = once(child, 'exit')
  const observer = new pg.Client(database.url)
  observer.on('error', () => {})
  await observer.connect()
  try {
    const sessionsOfChild = async () => {
      const { rows } = await observer.query<{ sessions: number }>(
        `select count(a.pid)::int as sessions from pg_database d left join pg_stat_activity a on a.datname = d.datname
         where d.datname like $1 group by d.datname`,
        [`opsledger\\_test\\_%\\_${child.pid}\\_%\\_d\\_%`],
      )
      return rows.map(({ sessions }) => sessions)
    }
    // In the middle of a trial.
    while (((await sessionsOfChild())[0] ?? 0) === 0) await sleep(20)
    child.kill(signal)
    expect(await exited).toEqual([exitCode, null])
    expect(await sessionsOfChild()).toEqual([])
    expect(readFileSync(json, 'utf8')).toBe('earlier results')
  } finally {
    child.kill('SIGKILL')
    await observer.end()
  }
})
