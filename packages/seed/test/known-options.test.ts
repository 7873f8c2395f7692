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
  it.each<[string, object]>([
    ['tabels (of resetAndSeed)', { tabels: [] }],
    ['host (of allow)', { allow: { ...options.allow, host: ['postgres'] } }],
    ['timeout (of migrate)', { migrate: { command: 'node', timeout: 1 } }],
  ])('%s', async (option, changes) => {
    const reset = resetAndSeed({ ...options, ...changes } as ResetAndSeedOptions)
    await expect(reset).rejects.toMatchObject({ code: 'invalid_option', option })
  })

  it('in a table', () => {
    const description = { count: 1, columns: {}, row: [] }
    expect(() => table('app.one', description)).toThrow(
      /row \(of the table app\.one\).*only per, count, rows/,
    )
  })

  it('in a config, where the command line decides: a dry run that is none would be a reset', async () => {
    const { loadConfig } = await import('../src/command/config.ts')
    const config = loadConfig(new URL('./fixtures/dry-run.config.ts', import.meta.url).pathname)
    await expect(config).rejects.toThrow(/dryRun \(of the config .*allowed: only/)
  })
})
