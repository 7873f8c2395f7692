import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Where distributions put servers, and the path of an ordinary user does not lead. */
const SERVER_FOLDERS = ['/usr/sbin', '/usr/local/sbin']

/** The binary that OPSLEDGER_PGBOUNCER names, or the one on the path; null where there is none. */
export function findPgBouncer(env: NodeJS.ProcessEnv = process.env): string | null {
  const { OPSLEDGER_PGBOUNCER: named = '', PATH: path = '' } = env
  if (named !== '') {
    if (isExecutable(named)) return named
    throw new Error(`OPSLEDGER_PGBOUNCER names nothing that can be executed: ${named}`)
  }
  const folders = [...path.split(delimiter), ...SERVER_FOLDERS]
  return folders.map((folder) => join(folder, 'pgbouncer')).find(isExecutable) ?? null
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
