import { readdirSync, readFileSync } from 'node:fs'

/** A door of a published package: what a host imports, and the source file behind it. */
export interface EntryPoint {
  readonly name: string
  readonly packageName: string
  readonly source: string
  readonly line: string
}

/** What each door is for; that of a package itself is the description in its `package.json`. */
const LINES: Readonly<Record<string, string>> = {
  '@opsledger/core/guard': 'What a package needs that brings a guard of its own; hosts have no use for it.',
  '@opsledger/core/migrations':
    "The ledger's schema changes as data, for hosts that run migrations themselves.",
  '@opsledger/core/bullmq': 'The adapter for BullMQ.',
  '@opsledger/core/graphile-worker': 'The adapter for graphile-worker.',
  '@opsledger/core/pg-boss': 'The adapter for pg-boss.',
  '@opsledger/dedupe/migrations':
    "The guard's schema changes as data, for `migrate({ with })` and the CLI's `--with`.",
}

interface Manifest {
  readonly name: string
  readonly private?: boolean
  readonly description: string
  readonly exports: Readonly<Record<string, { readonly 'opsledger-source': string }>>
}

/** Every entry of every published package's `exports`, in their order. */
export function readEntryPoints(root: URL): EntryPoint[] {
  const packages = new URL('packages/', root)
  return readdirSync(packages)
    .sort()
    .map((folder) => new URL(`${folder}/`, packages))
    .flatMap((home) => {
      const manifest = JSON.parse(readFileSync(new URL('package.json', home), 'utf8')) as Manifest
      if (manifest.private === true) return []
      return Object.entries(manifest.exports).map(([subpath, door]) => {
        const name = manifest.name + subpath.slice(1)
        const line = subpath === '.' ? manifest.description : LINES[name]
        if (line === undefined)
          throw new Error(`${name} has no line in tools/api-reference/src/entry-points.ts`)
        return {
          name,
          packageName: manifest.name,
          source: new URL(door['opsledger-source'], home).pathname,
          line,
        }
      })
    })
}

/** The page of an entry point, as the plugin names it with `flattenOutputFiles` and `excludeScopesInPaths`. */
export const pageOf = (name: string): string => `${name.replace(/^@[^/]+\//, '').replaceAll('/', '.')}.md`
