/** As in the section `[pgbouncer]` of its configuration. */
export interface PgBouncerSettings {
  readonly pool_mode: 'session' | 'transaction' | 'statement'
  readonly [name: string]: string | number
}

/** One file: any database of the target's server, as the target's user, whoever asks on this port of loopback. */
export function configurationFor(target: URL, port: number, settings: PgBouncerSettings): string {
  const server = {
    host: target.hostname,
    port: target.port || 5432,
    user: quoted(target.username),
    // A server that trusts everybody wants none.
    ...(target.password === '' ? {} : { password: quoted(target.password) }),
  }
  const pooler = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'any',
    ignore_startup_parameters: 'extra_float_digits',
    ...settings,
  }
  const lines = [
    '[databases]',
    `* = ${entries(server, '=').join(' ')}`,
    '[pgbouncer]',
    ...entries(pooler, ' = '),
  ]
  return `${lines.join('\n')}\n`
}

const entries = (values: Record<string, string | number>, separator: string) =>
  Object.entries(values).map(([name, value]) => `${name}${separator}${value}`)

const quoted = (part: string) => `'${decodeURIComponent(part).replaceAll("'", "''")}'`
