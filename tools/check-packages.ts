import { join } from 'node:path'
import { command } from './lib/command.ts'
import { packPackages } from './lib/packages.ts'
import { packedProblems } from './lib/packed-problems.ts'
import { root } from './lib/root.ts'

/**
 * Packs each published package as it would be published, looks at what is in it, and asks two tools whether a host
 * can import it: publint (does the package say what is in it?) and attw (do the types resolve under each module
 * resolution?).
 */
const TOOLS = {
  publint: (tarball: string) => ['run', tarball, '--strict'],
  attw: (tarball: string) => [
    tarball,
    ...['--profile', 'esm-only', '--no-emoji', '--no-color', '--format', 'ascii'],
  ],
}

await using packed = await packPackages()
for (const found of packed.packages) {
  const { name, tarball, files } = found
  const problems = packedProblems(found)
  if (problems.length === 0) console.log(`${name}: ${files.length} files, all of them meant to be there`)
  else report(`${name}: the tarball\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
  for (const [tool, args] of Object.entries(TOOLS)) {
    try {
      await command(join(root, 'node_modules/.bin', tool), args(tarball), { cwd: root })
      console.log(`${name}: ${tool} has nothing to say`)
    } catch (error) {
      report(`${name}: ${tool} objects\n${(error as Error).message}`)
    }
  }
}

function report(problem: string): void {
  console.error(problem)
  process.exitCode = 1
}
