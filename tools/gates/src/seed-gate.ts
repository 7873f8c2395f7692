import { randomBytes } from 'node:crypto'
import { describeReport, resetAndSeed, type SeedReport } from '@opsledger/seed'
import { findServer, type Server } from '@opsledger/testing'
import pg from 'pg'
import config from '../../../examples/assignment-worker/src/app/seed.config.ts'
import { type Gate, GateError } from './gate.ts'
import { contentsOf, seedProblems } from './seed-problems.ts'

/**
 * The example application's own reset-and-seed on a database that holds nothing, and once more on what that left: both
 * must end with the same rows, and the rows are looked at with SQL.
 */
export const seedGate: Gate = {
  name: 'seed',
  about: 'reset-and-seed from a clean database',
  async run() {
    await using server = await findServer()
    await using database = await createCleanDatabase(server)
    const { url } = database
    const options = {
      ...config,
      connection: url,
      allow: { ...config.allow, hosts: [...(config.allow.hosts ?? []), new URL(url).hostname] },
    }
    const first = await resetAndSeed(options)
    console.log(describeReport(first))
    const contents = await look(url, first)
    const second = await resetAndSeed(options)
    if ((await look(url, second)) !== contents) {
      throw new GateError('The second reset-and-seed wrote other rows than the first')
    }
    const columns = first.tables.map(({ name, rows }) => `${name} ${rows}`).join(', ')
    return `${first.rows} rows in ${first.tables.length} tables, twice the same (${columns})`
  },
}

/** Of a name that the example's config allows, on whatever server the tests use. */
async function createCleanDatabase(server: Server): Promise<{ readonly url: string } & AsyncDisposable> {
  const name = `assignments_test_gate_${randomBytes(5).toString('hex')}`
  const administer = (statement: string) => withClient(server.url, (client) => client.query(statement))
  await administer(`create database ${name} template template0`)
  const url = new URL(server.url)
  url.pathname = `/${name}`
  return {
    url: url.href,
    [Symbol.asyncDispose]: async () => {
      await administer(`drop database if exists ${name} with (force)`)
    },
  }
}

/** The rows as text. @throws GateError when they are not what the seed promises */
async function look(url: string, report: SeedReport): Promise<string> {
  return withClient(url, async (client) => {
    const problems = await seedProblems(client, report.tables)
    if (problems.length > 0) throw new GateError(problems.join('; '))
    return contentsOf(client, report.tables)
  })
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
