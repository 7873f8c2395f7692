import { describe, expect, it } from 'vitest'
import { type ResetAndSeedOptions, resetAndSeed, table } from '../src/index.ts'

const options: ResetAndSeedOptions = {
  connection: 'postgres://nobody@db.invalid:1/app_test',
  allow: { database: 'app_test' },
  schemas: ['app'],
  migrate: { command: 'node' },
  tables: [table('app.one', { count: 1, columns: {} })],
}

describe('an option that there is not is named', () => {
  it.each<[string, object, string]>([
    ['tabels', { tabels: [] }, 'tabels is not an option of resetAndSeed; did you mean tables?'],
    ['ahead', { ahead: 1 }, 'ahead is not an option of resetAndSeed; allowed: connection, allow, '],
    [
      'host',
      { allow: { ...options.allow, host: ['postgres'] } },
      'host is not an option of allow; did you mean hosts?',
    ],
    [
      'timeout',
      { migrate: { command: 'node', timeout: 1 } },
      'timeout is not an option of migrate; did you mean timeoutMs?',
    ],
  ])('%s', async (option, changes, message) => {
    const reset = resetAndSeed({ ...options, ...changes } as ResetAndSeedOptions)
    await expect(reset).rejects.toMatchObject({
      code: 'invalid_option',
      option,
      message: expect.stringContaining(message),
    })
  })

  it('in a table', () => {
    const description = { count: 1, columns: {}, row: [] }
    expect(() => table('app.one', description)).toThrow(
      'row is not an option of the table app.one; did you mean rows?',
    )
  })

  it('in a config, where the command line decides: a dry run that is none would be a reset', async () => {
    const { loadConfig } = await import('../src/command/config.ts')
    const config = loadConfig(new URL('./fixtures/dry-run.config.ts', import.meta.url).pathname)
    await expect(config).rejects.toThrow(
      /^dryRun is not an option of the config .*dry-run\.config\.ts; allowed: connection, /,
    )
  })
})
