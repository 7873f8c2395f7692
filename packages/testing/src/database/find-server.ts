import { dockerAnswers, startDockerServer } from './docker-server.ts'
import { startEmbeddedServer } from './embedded-server.ts'
import { useExplicitServer } from './explicit-server.ts'
import { DEFAULT_MAJOR, readMajor } from './majors.ts'
import type { Server, ServerKind } from './server.ts'

export interface FindServerOptions {
  /** Default: `process.env`. */
  env?: NodeJS.ProcessEnv
  /** Receives the one line that names the choice. Default: standard output. */
  print?: (line: string) => void
}

const KINDS: readonly string[] = ['url', 'docker', 'embedded'] satisfies ServerKind[]

/**
 * The one place where the demo and the tests find a Postgres: `OPSLEDGER_DATABASE_URL`, else Docker where it
 * answers, else the embedded binaries. `OPSLEDGER_DATABASE` (url, docker, embedded) forces the choice and
 * `OPSLEDGER_POSTGRES_MAJOR` (14 to 18) picks the major; a server given by URL must then be of that major.
 */
export async function findServer(options: FindServerOptions = {}): Promise<Server> {
  const env = options.env ?? process.env
  const server = await choose(env, readKind(env), readMajor(env))
  const print = options.print ?? ((line: string) => process.stdout.write(`${line}\n`))
  print(`database: ${server.describe()}`)
  return server
}

async function choose(
  env: NodeJS.ProcessEnv,
  kind: ServerKind | null,
  major: number | null,
): Promise<Server> {
  const url = env.OPSLEDGER_DATABASE_URL
  const forced = `OPSLEDGER_DATABASE=${kind}`
  if (kind === 'url' || (kind === null && url)) {
    if (!url) throw new Error('OPSLEDGER_DATABASE=url needs OPSLEDGER_DATABASE_URL: set it, or unset both')
    return requireMajor(await useExplicitServer(url), major)
  }
  const wanted = major ?? DEFAULT_MAJOR
  if (kind === 'embedded') return startEmbeddedServer({ major: wanted, why: forced })
  if (kind === 'docker') {
    return startDockerServer({ major: wanted, why: forced }).catch((cause) => {
      throw new Error(
        `${forced}, but no Postgres container could be started: ${firstLine(cause)}. Start Docker, or unset ` +
          'OPSLEDGER_DATABASE to use the embedded Postgres.',
        { cause },
      )
    })
  }
  let docker = 'no usable Docker'
  if (await dockerAnswers(env)) {
    try {
      return await startDockerServer({ major: wanted, why: 'no OPSLEDGER_DATABASE_URL' })
    } catch (error) {
      docker = `Docker answers but started no container: ${firstLine(error)}`
    }
  }
  return startEmbeddedServer({ major: wanted, why: `no OPSLEDGER_DATABASE_URL, ${docker}` })
}

function readKind(env: NodeJS.ProcessEnv): ServerKind | null {
  const value = env.OPSLEDGER_DATABASE
  if (!value) return null
  if (!KINDS.includes(value)) {
    throw new Error(`OPSLEDGER_DATABASE is "${value}": allowed are ${KINDS.join(', ')}, or leave it unset`)
  }
  return value as ServerKind
}

function requireMajor(server: Server, major: number | null): Server {
  if (major !== null && Number.parseInt(server.version, 10) !== major) {
    throw new Error(
      `OPSLEDGER_POSTGRES_MAJOR is ${major}, but OPSLEDGER_DATABASE_URL leads to ${server.version}: unset one of them`,
    )
  }
  return server
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!
}
