import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Packs each published package as it would be published, and asks two tools whether a host can import it: publint
 * (does the package say what is in it?) and attw (do the types resolve under each module resolution?).
 */
const root = new URL('..', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'opsledger-packages-'))
const run = (command: string, args: string[], cwd = root) =>
  execFileSync(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' })

let failures = 0
try {
  for (const name of readdirSync(join(root, 'packages'))) {
    const home = join(root, 'packages', name)
    const manifest = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as {
      name: string
      private?: boolean
    }
    if (manifest.private === true) continue
    run('pnpm', ['pack', '--pack-destination', folder], home)
    const prefix = manifest.name.replace('@', '').replace('/', '-')
    const tarball = join(folder, readdirSync(folder).find((file) => file.startsWith(prefix))!)
    for (const [tool, args] of [
      ['publint', ['run', tarball, '--strict']],
      ['attw', [tarball, '--profile', 'esm-only', '--no-emoji', '--no-color', '--format', 'ascii']],
    ] as const) {
      try {
        run(join(root, 'node_modules/.bin', tool), [...args])
        console.log(`${manifest.name}: ${tool} has nothing to say`)
      } catch (error) {
        failures += 1
        console.error(`${manifest.name}: ${tool} objects\n${(error as { stdout?: string }).stdout ?? error}`)
      }
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = failures === 0 ? 0 : 1
