import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Which packets of a host are lost. */
export type Blackhole = 'to-server' | 'to-client' | 'both'

/** A machine of its own as far as the network goes: a namespace whose only way out leads over the router. */
export interface RemoteHost {
  readonly address: string
  /** What `start` starts before it returns runs in here. */
  startInside<T>(start: () => T): T
  /** Throws when this process is not in here: everything shown with it would prove nothing. */
  assertInside(pid: number): void
  /** From now on the router drops its packets without a word; both sides go on sending. */
  cut(blackhole: Blackhole): Promise<void>
  heal(): Promise<void>
}

export interface Network extends AsyncDisposable {
  /** This machine's address on the way to the hosts. */
  readonly serverAddress: string
  /** All hosts together, for a pg_hba.conf. */
  readonly range: string
  readonly hosts: readonly RemoteHost[]
}

/** Why no network can be made here; null when one can. */
export function missingForNetwork(): string | null {
  if (process.platform !== 'linux') return 'network namespaces need Linux'
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  for (const [tool, packageName] of [
    ['ip', 'iproute2'],
    ['iptables', 'iptables'],
  ] as const) {
    if (!folders.some((folder) => existsSync(join(folder, tool))))
      return `${tool} (${packageName}) is not installed`
  }
  const name = `opsledger-chaos-${process.pid}-try`
  try {
    execFileSync('ip', ['netns', 'add', name], { stdio: 'pipe', env: ENV })
    execFileSync('ip', ['netns', 'exec', name, 'iptables', '-S', 'FORWARD'], { stdio: 'pipe', env: ENV })
    return null
  } catch (error) {
    const said = (error as { stderr?: Buffer }).stderr?.toString().trim()
    return `network namespaces cannot be made here: ${said || String(error)}`
  } finally {
    try {
      execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore', env: ENV })
    } catch {
      // It was never made.
    }
  }
}

const ENV = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` }

/**
 * Hosts behind a router, each in a network namespace of its own:
 *
 *     this machine (Postgres) ── router (iptables drops here) ─┬─ host 1
 *                                                              └─ host 2 …
 *
 * Packets are dropped on their way through the router, so neither end is told anything, as it would be by a rule of
 * its own. Addresses are of the range for benchmarks (RFC 2544), names carry the process id.
 */
export async function openNetwork(hostCount: number): Promise<Network> {
  const pid = process.pid
  const router = `opsledger-chaos-${pid}-router`
  const uplink = `olc${pid}`
  const prefix = `198.18.${await freeThird()}`
  const names = Array.from({ length: hostCount }, (_, n) => `opsledger-chaos-${pid}-${n + 1}`)
  const folder = mkdtempSync(join(tmpdir(), 'opsledger-chaos-network-'))
  const cleanUp = leaveNothingBehind([router, ...names], uplink, folder)
  const inRouter = (...command: string[]) => run('ip', ['netns', 'exec', router, ...command], { env: ENV })

  try {
    // One process for all of it: thirty would take a second.
    const lines = [
      `ip netns add ${router}`,
      `ip link add ${uplink} type veth peer name uplink netns ${router}`,
      `ip addr add ${prefix}.1/30 dev ${uplink}`,
      `ip link set ${uplink} up`,
      `ip route add ${prefix}.0/24 via ${prefix}.2`,
      `ip -n ${router} addr add ${prefix}.2/30 dev uplink`,
      `ip -n ${router} link set uplink up`,
      `ip netns exec ${router} sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'`,
      ...names.flatMap((name, n) => [
        `ip netns add ${name}`,
        `ip link add down${n} netns ${router} type veth peer name eth0 netns ${name}`,
        `ip -n ${router} addr add ${prefix}.${4 * n + 5}/30 dev down${n}`,
        `ip -n ${router} link set down${n} up`,
        `ip -n ${name} addr add ${prefix}.${4 * n + 6}/30 dev eth0`,
        `ip -n ${name} link set eth0 up`,
        `ip -n ${name} link set lo up`,
        `ip -n ${name} route add default via ${prefix}.${4 * n + 5}`,
      ]),
    ]
    await run('sh', ['-ec', lines.join('\n')], { env: ENV })
  } catch (error) {
    await cleanUp()
    const said = (error as { stderr?: string }).stderr?.trim()
    throw new Error(`The network could not be made: ${said || String(error)}`)
  }

  const hosts = names.map((name, n): RemoteHost => {
    const address = `${prefix}.${4 * n + 6}`
    const launcher = join(folder, `node-${n + 1}`)
    const node = process.execPath
    writeFileSync(
      launcher,
      `#!/bin/sh\nPATH=$PATH:/usr/sbin:/sbin\nexec ip netns exec ${name} '${node}' "$@"\n`,
      {
        mode: 0o700,
      },
    )
    let rules: string[][] = []
    return {
      address,
      startInside(start) {
        // What `fork` starts; the launcher becomes Node without another process in between, so the id stays.
        process.execPath = launcher
        try {
          return start()
        } finally {
          process.execPath = node
        }
      },
      assertInside(child) {
        const namespaceOf = (one: number | string) => readlinkSync(`/proc/${one}/ns/net`)
        if (namespaceOf(child) === namespaceOf('self')) {
          throw new Error(`Process ${child} is not in a network namespace of its own`)
        }
      },
      async cut(blackhole) {
        const wanted = [
          ...(blackhole === 'to-client' ? [] : [['-s', address]]),
          ...(blackhole === 'to-server' ? [] : [['-d', address]]),
        ]
        for (const rule of wanted) {
          await inRouter('iptables', '-w', '-A', 'FORWARD', ...rule, '-j', 'DROP')
          rules.push(rule)
        }
      },
      async heal() {
        const old = rules
        rules = []
        for (const rule of old) await inRouter('iptables', '-w', '-D', 'FORWARD', ...rule, '-j', 'DROP')
      },
    }
  })
  return {
    serverAddress: `${prefix}.1`,
    range: `${prefix}.0/24`,
    hosts,
    [Symbol.asyncDispose]: cleanUp,
  }
}

/** A third octet that no interface of this machine uses, so that two harnesses do not meet. */
async function freeThird(): Promise<number> {
  const { stdout } = await run('ip', ['-o', '-4', 'addr'], { env: ENV })
  for (let tries = 0; tries < 256; tries++) {
    const third = (process.pid + tries) % 256
    if (!stdout.includes(` 198.18.${third}.`)) return third
  }
  throw new Error('All of 198.18.0.0/16 is in use')
}

/**
 * A shell that waits for the end of its input: it comes by `cleanUp`, and equally when this process ends in whatever
 * way, SIGKILL included. Then it removes what was made. In a session of its own, so that Ctrl-C does not end it.
 */
function leaveNothingBehind(
  namespaces: readonly string[],
  link: string,
  folder: string,
): () => Promise<void> {
  const lines = [
    "trap '' INT TERM HUP",
    'cat > /dev/null',
    // Deleting a namespace deletes no process: what still runs in it keeps it, unnamed, until it ends.
    ...namespaces.map((name) => `ip netns del ${name} 2> /dev/null`),
    `ip link del ${link} 2> /dev/null`,
    'rm -rf "$FOLDER"',
  ]
  const shell = spawn('sh', ['-c', lines.join('\n')], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { ...ENV, FOLDER: folder },
  })
  shell.unref()
  const exited = once(shell, 'exit')
  return async () => {
    shell.ref()
    shell.stdin.end()
    await exited
  }
}
