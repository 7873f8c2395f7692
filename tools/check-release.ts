import { relative } from 'node:path'
import { command } from './lib/command.ts'
import { type Published, publishedPackages } from './lib/packages.ts'
import { root } from './lib/root.ts'

/**
 * What npm asks of a package that is published with provenance, and what nobody can know before there is a public
 * repository. Run at a release and not before.
 */
const origin = await originOf()
let failures = 0
for (const found of await publishedPackages()) {
  const problems = releaseProblems(found)
  failures += problems.length
  const { name, version } = found.manifest
  if (problems.length === 0) console.log(`${name} ${version} may be released`)
  else console.error(`${name}: package.json\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
}
process.exitCode = failures === 0 ? 0 : 1

function releaseProblems({ home, manifest }: Published): string[] {
  const { repository, publishConfig } = manifest
  const problems: string[] = []
  if (publishConfig?.provenance !== true) problems.push('publishConfig.provenance is not true')
  const directory = relative(root, home)
  const example = `{ "type": "git", "url": "git+https://…", "directory": "${directory}" }`
  if (!repository?.url) {
    return [
      ...problems,
      `repository.url is missing: npm refuses provenance unless it names the repository that publishes; set ${example}`,
    ]
  }
  if (repository.directory !== directory) problems.push(`repository.directory is not ${directory}`)
  if (origin !== null && plain(repository.url) !== plain(origin)) {
    problems.push(`repository.url is ${repository.url}, and what publishes is ${plain(origin)}`)
  }
  return problems
}

/** The repository that publishes: the CI job's, else this clone's origin; null where neither is known. */
async function originOf(): Promise<string | null> {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository } = process.env
  if (server && repository) return `${server}/${repository}`
  const url = await command('git', ['config', '--get', 'remote.origin.url'], { cwd: root }).catch(() => '')
  return url.trim() === '' ? null : url.trim()
}

/** Host and path alone: `git+https://`, `ssh://git@` and `git@host:` lead to the same place. */
function plain(url: string): string {
  return url
    .replace(/^git\+/, '')
    .replace(/^(\w+:\/\/)?([^@/]+@)?/, '')
    .replace(/^([^/:]+):(?!\d)/, '$1/')
    .replace(/\.git$/, '')
    .replace(/\/$/, '')
    .toLowerCase()
}
