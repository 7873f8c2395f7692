import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { useDatabase } from '@opsledger/testing/vitest'
import pg from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { CommandOptionError } from '../../../tools/lib/command-options.ts'
import { missingForNetwork } from '../src/devices/network.ts'
import { readOptions, USAGE } from '../src/options.ts'

const database = useDatabase()
const program = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'opsledger-chaos-command-'))
afterAll(() => rmSync(folder, { recursive: true }))

const argsOf = (options: readonly string[]) => ['--conditions=opsledger-source', program, ...options]

function run(options: readonly string[]): Promise<{ code: number; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, argsOf(options), (error, _, err) =>
      resolve({ code: Number(error?.code ?? 0), err }),
    )
  })
}

describe('a wrong option is told in one line', () => {
  test.each<[string[], string]>([
    [['--sede', '1'], '--sede is not an option; allowed: --seed, --long, '],
    [['--seed', 'x'], '--seed is "x"; allowed: a whole number, 0 or greater'],
    [['--seed', '-1'], '--seed has no value; allowed: a whole number'],
    [['--seed', '--long'], '--seed has no value; allowed: a whole number'],
    [['--seed', '1', '--seed', '2'], '--seed is given twice; allowed: once'],
    [['--long=yes'], '--long is "yes"; allowed: no value'],
    [['--only', ''], '--only has no value; allowed: names'],
    [['--only', 'worker-killed,'], '--only is ""; allowed: worker-killed, '],
    [['--only', 'lock-only'], '--only is "lock-only"; allowed: worker-killed, '],
    [['--only', 'worker-killed', '--mutants'], '--only is "worker-killed"; allowed: lock-only, '],
    [['--url', 'mysql://secret@host'], '--url is "…"; allowed: postgres://…'],
    [['worker-killed'], '"worker-killed" is no option; allowed: --seed, '],
  ])('%j', (options, message) => {
    let told = ''
    try {
      readOptions(options)
    } catch (error) {
      if (error instanceof CommandOptionError) told = error.message
    }
    expect(told.startsWith(message), told).toBe(true)
    expect(told.split('\n')).toHaveLength(1)
  })
})

test('the usage says which names --only takes, with --mutants and without', () => {
  expect(USAGE).toContain('with --mutants only these mutants, by their own names')
  expect(USAGE).toContain('Faults, for --only: worker-killed, ')
  expect(USAGE).toContain('Mutants, for --mutants --only: lock-only, ')
})

test.each<[string[], string]>([
  [['--sede', '1'], '--sede is not an option; allowed: '],
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

test('what is skipped is no failure but with --strict, and the results say so', async () => {
  const json = join(folder, 'skipped.json')
  const options = ['--url', database.url, '--only', 'postgres-restarts', '--json', json]
  expect((await run(options)).code).toBe(0)
  expect(JSON.parse(readFileSync(json, 'utf8'))).toMatchObject({
    isComplete: true,
    faults: [{ fault: 'postgres-restarts', skipped: 'the server of a URL is not restarted' }],
  })
  expect((await run([...options, '--strict'])).code).toBe(1)
})

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s leaves neither databases nor folders, and what was done before', async (signal, exitCode) => {
  const temporary = mkdtempSync(join(folder, 'tmp-'))
  const json = join(folder, `${signal}.json`)
  // The first is skipped at once, the second goes on for longer than it is left.
  const only = ['--only', 'network-blackhole,frozen-worker', '--long']
  const child = spawn(process.execPath, argsOf(['--url', database.url, '--json', json, ...only]), {
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const exited = once(child, 'exit')
  const observer = new pg.Client(database.url)
  observer.on('error', () => {})
  await observer.connect()
  try {
    const ofChild = async () => {
      const { rows } = await observer.query<{ name: string; sessions: number }>(
        `select d.datname as name, count(a.pid)::int as sessions from pg_database d
         left join pg_stat_activity a on a.datname = d.datname and a.application_name = 'opsledger locks'
         where d.datname like $1 group by d.datname`,
        [`opsledger\\_chaos\\_${child.pid}\\_%`],
      )
      return rows
    }
    // In the middle of it: all workers of session mode have come, and none has gone home.
    while (((await ofChild())[0]?.sessions ?? 0) < 3) await sleep(20)
    expect(readdirSync(temporary)).not.toEqual([])
    child.kill(signal)
    expect(await exited).toEqual([exitCode, null])
    expect(await ofChild()).toEqual([])
    expect(readdirSync(temporary)).toEqual([])
    expect(JSON.parse(readFileSync(json, 'utf8'))).toMatchObject({
      isComplete: false,
      faults: [{ fault: 'network-blackhole' }],
    })
  } finally {
    child.kill('SIGKILL')
    await observer.end()
  }
})

test.skipIf(missingForNetwork() !== null)(
  'SIGINT while hosts are cut off: the fault takes its server and network away, and earlier results stay',
  async () => {
    const temporary = mkdtempSync(join(folder, 'tmp-'))
    const json = join(folder, 'cut-off.json')
    writeFileSync(json, 'earlier results')
    const child = spawn(process.execPath, argsOf(['--only', 'network-blackhole', '--json', json]), {
      env: { ...process.env, TMPDIR: temporary },
      stdio: 'ignore',
    })
    const exited = once(child, 'exit')
    const router = `opsledger-chaos-${child.pid}-router`
    try {
      // Six hosts, of which two lose packets in both directions.
      while ((await dropRulesOf(router)) < 8) await sleep(20)
      child.kill('SIGINT')
      expect(await exited).toEqual([130, null])
      // At once: where the fault did not unwind, a guardian would be at it still.
      expect(readdirSync(temporary)).toEqual([])
      expect(await dropRulesOf(router)).toBe(0)
      expect(readFileSync(json, 'utf8')).toBe('earlier results')
    } finally {
      child.kill('SIGKILL')
    }
  },
  // Eight processes and two servers have to start before there is something to cut.
  120_000,
)

/** How many ways of packets a router drops; none where it is not there. */
async function dropRulesOf(router: string): Promise<number> {
  const rules = await new Promise<string>((resolve) => {
    execFile('ip', ['netns', 'exec', router, 'iptables', '-w', '-S', 'FORWARD'], (_, out) => resolve(out))
  })
  return rules.split('\n').filter((rule) => rule.endsWith('-j DROP')).length
}
