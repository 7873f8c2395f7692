import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { describe, expect, inject, onTestFinished, test } from 'vitest'

const DEMO = fileURLToPath(new URL('../src/demo.ts', import.meta.url))

const CLAIMS = [
  'a clean database is migrated and seeded in one go, and one that nobody named is refused',
  'a double dispatch runs once',
  'the same work again is refused while it cools down',
  'after the cooldown it runs again',
  'a retry ends with the counts of the final attempt only',
  'a partial failure keeps what succeeded and says what failed',
  "a terminal failure says why, without the secret in the provider's error",
  'of two reconcile jobs at once one is skipped, and its run points to the other',
  'a worker killed in mid-run is survived: another one takes its job over',
  'reconcile closes the run that a lost worker left open, and the sessions nobody ended',
  'workers that are told to stop hand back what they do, and end by themselves',
]

/** The demo on the server of this test run, as leader of a process group of its own, as in a terminal. */
function startDemo(...args: string[]) {
  const child: ChildProcess = spawn(process.execPath, ['--conditions=opsledger-source', DEMO, ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      NODE_OPTIONS: undefined,
      OPSLEDGER_DATABASE: 'url',
      OPSLEDGER_DATABASE_URL: inject('opsledgerServer').url,
    },
  })
  onTestFinished(async () => {
    if (groupIsAlive()) process.kill(-child.pid!, 'SIGKILL')
  })
  let output = ''
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const groupIsAlive = () => {
    try {
      return process.kill(-child.pid!, 0)
    } catch {
      return false
    }
  }
  return {
    pid: child.pid!,
    groupIsAlive,
    exit: once(child, 'close').then(([code]) => ({ code: code as number | null, output })),
    /** Resolves when the demo has printed this. */
    async prints(text: string): Promise<void> {
      while (!output.includes(text)) await once(child.stdout!, 'data')
    },
  }
}

/** Databases of the demo with this process id, by their names. */
async function databasesOf(pid: number): Promise<string[]> {
  const client = new pg.Client({ connectionString: inject('opsledgerServer').url })
  await client.connect()
  try {
    const { rows } = await client.query<{ datname: string }>(
      'select datname from pg_database where datname ~ $1',
      [`^opsledger_test_[0-9a-f]+_${pid}_`],
    )
    return rows.map(({ datname }) => datname)
  } finally {
    await client.end()
  }
}

describe('the demo', () => {
  test('shows all that it claims and leaves nothing behind', { timeout: 120_000 }, async () => {
    const demo = startDemo()
    const { code, output } = await demo.exit
    const shown = output.slice(output.indexOf('shown:\n'))
    expect(shown.match(/^[✓✗] .*/gm)).toEqual(CLAIMS.map((claim) => `✓ ${claim}`))
    expect(code).toBe(0)
    expect(demo.groupIsAlive()).toBe(false)
    expect(await databasesOf(demo.pid)).toEqual([])
    // Off a terminal it is calm: at most three lines on the way of each attempt.
    const onTheWay = output.match(/(?<=\d+\/\d+ +)\w{6} \S+.*, running, attempt \d+$/gm) ?? []
    expect(onTheWay.length).toBeGreaterThan(0)
    const told = Map.groupBy(onTheWay, (line) => line)
    expect(Math.max(...[...told.values()].map((lines) => lines.length))).toBeLessThanOrEqual(3)
  })

  test('fails when its guard admits everything', { timeout: 60_000 }, async () => {
    const { code, output } = await startDemo('--break=guard', '--only=double dispatch').exit
    expect(output).toContain('✗ a double dispatch runs once')
    expect(code).toBe(1)
  })

  test('fails when it has shown nothing', { timeout: 60_000 }, async () => {
    const { code } = await startDemo('--only=no such claim').exit
    expect(code).toBe(1)
  })

  test('leaves nothing behind when it is interrupted in mid-run', { timeout: 60_000 }, async () => {
    const demo = startDemo('--only=killed in mid-run')
    await demo.prints('executes assignment.fetch')
    expect(await databasesOf(demo.pid)).toHaveLength(1)
    process.kill(-demo.pid, 'SIGINT')
    const { code } = await demo.exit
    expect(code).toBe(130)
    expect(demo.groupIsAlive()).toBe(false)
    expect(await databasesOf(demo.pid)).toEqual([])
  })
})
