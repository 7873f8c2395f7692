import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDatabase, findServer } from '../packages/testing/src/index.ts'
import { command } from './lib/command.ts'
import { type Packed, packPackages } from './lib/packages.ts'
import { root } from './lib/root.ts'
import { installToolchain, NODE_VERSIONS, npmInstall, TYPESCRIPT_VERSIONS } from './lib/toolchain.ts'

/**
 * What a host sees: the packed tarballs, installed with npm in an empty project per package, type-checked by each
 * TypeScript under both ways of resolving modules, and run by each Node on a real Postgres. One line per combination.
 */
const HOSTS = {
  core: {
    packages: ['@opsledger/core'],
    peers: ['kysely', 'pg'],
    before: [['opsledger', 'migrate']],
  },
  dedupe: {
    packages: ['@opsledger/core', '@opsledger/dedupe'],
    peers: ['kysely', 'pg'],
    before: [['opsledger', 'migrate', '--with', '@opsledger/dedupe']],
  },
  seed: {
    packages: ['@opsledger/seed'],
    peers: ['pg'],
    before: [
      ['opsledger-seed', '--help'],
      ['opsledger-seed', 'dist/seed-config.js', '--quiet'],
    ],
  },
} as const
type Host = keyof typeof HOSTS
const hosts = Object.keys(HOSTS) as Host[]

const RESOLUTIONS = {
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
} as const

const startedAt = performance.now()
await using exit = new AsyncDisposableStack()
const [toolchain, { packages }] = await Promise.all([
  installToolchain(),
  packPackages().then((it) => exit.use(it)),
])
const folder = await mkdtemp(join(tmpdir(), 'opsledger-install-'))
exit.defer(() => rm(folder, { recursive: true, force: true }))

await Promise.all(hosts.map(install))
for (const version of TYPESCRIPT_VERSIONS) {
  for (const host of hosts) {
    // Side by side, as many as a small machine has cores.
    const checks = Object.keys(RESOLUTIONS).map((resolution) => {
      const args = [toolchain.compiler(version), '--project', `tsconfig.${resolution}.json`]
      return attempt(`TypeScript ${version}, ${resolution}: ${host} type-checks`, () =>
        command(process.execPath, args, { cwd: join(folder, host) }),
      )
    })
    await Promise.all(checks)
  }
}
const server = exit.use(await findServer())
for (const version of NODE_VERSIONS) {
  for (const host of hosts) {
    await attempt(`Node ${version}: ${host} runs`, () => run(host, toolchain.node(version)))
  }
}
console.log(
  `${process.exitCode ? 'Some of it failed' : 'All of it works'}, after ${seconds(startedAt)} seconds`,
)

/** An empty project with the tarballs, their peers and the types of Node; nothing else, `@types/pg` neither. */
async function install(host: Host): Promise<void> {
  const home = join(folder, host)
  await cp(join(root, 'tools/consumer/src'), join(home, 'src'), { recursive: true })
  const { dependencies, devDependencies } = JSON.parse(
    await readFile(join(root, 'tools/consumer/package.json'), 'utf8'),
  ) as Record<'dependencies' | 'devDependencies', Record<string, string>>
  const wanted = Object.fromEntries([
    ...HOSTS[host].packages.map((name) => [name, `file:${tarballOf(name)}`]),
    ...HOSTS[host].peers.map((name) => [name, dependencies[name]]),
  ])
  const manifest = { private: true, type: 'module', dependencies: wanted, devDependencies }
  await writeFile(join(home, 'package.json'), JSON.stringify(manifest))
  for (const [name, resolution] of Object.entries(RESOLUTIONS)) {
    const compilerOptions = {
      target: 'es2022',
      lib: ['es2023', 'esnext.disposable'],
      types: ['node'],
      rootDir: 'src',
      outDir: 'dist',
      noEmit: name !== 'nodenext',
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      verbatimModuleSyntax: true,
      skipLibCheck: false,
      ...resolution,
    }
    const config = { compilerOptions, files: [`src/${host}.ts`] }
    await writeFile(join(home, `tsconfig.${name}.json`), JSON.stringify(config))
  }
  await npmInstall(home)
}

function tarballOf(name: string): string {
  return packages.find((found: Packed) => found.name === name)!.tarball
}

/** The command line tools first, then what the compiler made, each in the host's own folder. */
async function run(host: Host, node: string): Promise<string> {
  await using database = await createDatabase(server)
  const cwd = join(folder, host)
  const env = { ...process.env, DATABASE_URL: database.url, OPSLEDGER_DATABASE_URL: database.url }
  for (const [tool, ...args] of HOSTS[host].before) {
    await command(node, [join(cwd, 'node_modules/.bin', tool), ...args], { cwd, env })
  }
  return await command(node, [`dist/${host}.js`], { cwd, env })
}

async function attempt(what: string, act: () => Promise<string>): Promise<void> {
  const since = performance.now()
  try {
    const said = (await act())?.trim()
    console.log(`ok  ${what} (${said ? `${said}, ` : ''}${seconds(since)} s)`)
  } catch (error) {
    console.error(`NOT ${what}\n${(error as Error).message}`)
    process.exitCode = 1
  }
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1_000).toFixed(1)
}
