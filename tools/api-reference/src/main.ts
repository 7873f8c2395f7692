import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readEntryPoints } from './entry-points.ts'
import { generate } from './generate.ts'

/**
 * Writes `docs/reference`: a page for each entry point of the published packages, from the comments in the sources.
 * With `--check` it writes nothing there, and says what would change.
 */
const root = new URL('../../../', import.meta.url)
const reference = new URL('docs/reference/', root).pathname
const isCheck = process.argv.includes('--check')
const folder = isCheck ? mkdtempSync(join(tmpdir(), 'opsledger-reference-')) : reference

try {
  const problems = await generate(root, folder, readEntryPoints(root))
  for (const problem of problems) console.error(problem)
  const stale = isCheck ? differingPages(folder, reference) : []
  for (const page of stale) {
    console.error(
      `docs/reference/${page} is not what the sources say; run \`pnpm docs:api\` and commit the result`,
    )
  }
  if (problems.length + stale.length > 0) process.exitCode = 1
  else console.log(`docs/reference ${isCheck ? 'is what the sources say' : 'is written'}`)
} finally {
  if (isCheck) rmSync(folder, { recursive: true, force: true })
}

function differingPages(fresh: string, committed: string): string[] {
  const names = new Set([fresh, committed].flatMap((each) => (existsSync(each) ? readdirSync(each) : [])))
  const read = (home: string, name: string) =>
    existsSync(join(home, name)) ? readFileSync(join(home, name), 'utf8') : null
  return [...names].sort().filter((name) => read(fresh, name) !== read(committed, name))
}
