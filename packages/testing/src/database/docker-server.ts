import { existsSync } from 'node:fs'
import { connect, type NetConnectOpts } from 'node:net'
import { homedir, userInfo } from 'node:os'
import { join } from 'node:path'
import { readServerVersion } from './admin-client.ts'
import type { Server } from './server.ts'

/** A local engine answers in a few milliseconds; one that needs longer is not worth waiting for. */
const DOCKER_ANSWERS_WITHIN_MS = 500

/** Asks the places where testcontainers would look, without loading it and without any output. */
export async function dockerAnswers(env: NodeJS.ProcessEnv = process.env): Promise<boolean> {
  for (const address of dockerAddresses(env)) {
    if (await answersPing(address, Boolean(env.DOCKER_TLS_VERIFY))) return true
  }
  return false
}

function dockerAddresses(env: NodeJS.ProcessEnv): NetConnectOpts[] {
  if (env.DOCKER_HOST) {
    if (!URL.canParse(env.DOCKER_HOST)) return []
    const host = new URL(env.DOCKER_HOST)
    if (host.protocol === 'unix:') return [{ path: host.pathname }]
    if (host.protocol !== 'tcp:' && host.protocol !== 'http:') return []
    return [{ host: host.hostname, port: Number(host.port || 2375) }]
  }
  if (process.platform === 'win32') return [{ path: '//./pipe/docker_engine' }]
  return [
    '/var/run/docker.sock',
    env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, 'docker.sock') : '',
    join(homedir(), '.docker', 'run', 'docker.sock'),
    join(homedir(), '.docker', 'desktop', 'docker.sock'),
    join('/run/user', String(userInfo().uid), 'docker.sock'),
  ]
    .filter((path) => path !== '' && existsSync(path))
    .map((path) => ({ path }))
}

/** An engine behind TLS refuses the plain request, but in HTTP; testcontainers then speaks TLS to it. */
function answersPing(address: NetConnectOpts, usesTls: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address)
    let answer = ''
    const settle = () => {
      clearTimeout(deadline)
      socket.destroy()
      resolve(usesTls ? answer.startsWith('HTTP/') : /^HTTP\/1\.\d 200/.test(answer))
    }
    const deadline = setTimeout(settle, DOCKER_ANSWERS_WITHIN_MS)
    socket.on('connect', () =>
      socket.write('GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n'),
    )
    socket.on('data', (chunk) => {
      answer += chunk
      if (answer.includes('\r\n')) settle()
    })
    socket.on('error', settle)
    socket.on('close', settle)
  })
}

/** Removed by `stop`, and by the reaper container of testcontainers if this process dies. */
export async function startDockerServer(options: { major: number; why: string }): Promise<Server> {
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql')
  const container = await new PostgreSqlContainer(`postgres:${options.major}-alpine`)
    .withCommand(['postgres', '-c', 'max_connections=200'])
    .start()
  const url = container.getConnectionUri()
  const version = await readServerVersion(url)
  const stop = async () => {
    await container.stop()
  }
  return {
    url,
    kind: 'docker',
    version,
    describe: () => `Docker Postgres ${version} (${options.why})`,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
