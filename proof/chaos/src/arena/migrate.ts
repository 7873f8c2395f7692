import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** In a process of its own, because a mutant may be one of the SQL that the migrations carry. */
export async function migrateIn(url: string, mutant: string | null): Promise<void> {
  const child = fork(fileURLToPath(new URL('./migrator.ts', import.meta.url)), [url, mutant ?? ''], {
    execArgv: ['--conditions=opsledger-source'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`Migrating ended with ${code}`)
}
