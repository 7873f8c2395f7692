import { access, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from './command.ts'
import { root } from './root.ts'

/** The newest of each major that hosts use; 5.9 is the oldest TypeScript that the types are checked under. */
export const TYPESCRIPT_VERSIONS = ['5.9.3', '6.0.3', '7.0.2'] as const
export const NODE_VERSIONS = ['22.23.3', '24.21.0', '26.10.0'] as const

const PLATFORM = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
/** A cut download succeeds on retry. */
const RETRY_AFTER_MS = [2_000, 10_000]

export interface Toolchain {
  /** The script of a TypeScript compiler. */
  compiler(version: string): string
  /** The program of a Node. */
  node(version: string): string
}

/**
 * Every compiler and every Node of the matrix, in a folder that stays: it is named after what it holds. They are no
 * development dependencies, because nobody who runs the demo or the tests should download them.
 */
export async function installToolchain(): Promise<Toolchain> {
  const dependencies = Object.fromEntries([
    ...TYPESCRIPT_VERSIONS.map((version) => [`typescript-${version}`, `npm:typescript@${version}`]),
    // The package `node` only installs one of these; they need no install script.
    ...NODE_VERSIONS.map((version) => [`node-${version}`, `npm:node-${PLATFORM}@${version}`]),
  ])
  const folder = join(
    root,
    'node_modules/.cache/opsledger-toolchain',
    [PLATFORM, ...TYPESCRIPT_VERSIONS, ...NODE_VERSIONS].join('_'),
  )
  if (!(await exists(folder))) {
    const draft = `${folder}.${process.pid}`
    await mkdir(draft, { recursive: true })
    await writeFile(join(draft, 'package.json'), JSON.stringify({ private: true, dependencies }))
    await npmInstall(draft)
    await rename(draft, folder).catch(() => rm(draft, { recursive: true })) // somebody else was faster
  }
  const installed = join(folder, 'node_modules')
  return {
    compiler: (version) => join(installed, `typescript-${version}`, 'bin/tsc'),
    node: (version) =>
      join(installed, `node-${version}`, 'bin', process.platform === 'win32' ? 'node.exe' : 'node'),
  }
}

/** Installs a folder's dependencies with npm, as most hosts do. */
export async function npmInstall(folder: string): Promise<void> {
  const args = ['install', '--no-audit', '--no-fund', '--no-progress', '--ignore-scripts', '--prefer-offline']
  for (const waitMs of RETRY_AFTER_MS) {
    try {
      await command('npm', args, { cwd: folder })
      return
    } catch (error) {
      console.error(`npm install is tried again in ${waitMs} ms: ${(error as Error).message}`)
      await new Promise((resolve) => setTimeout(resolve, waitMs))
    }
  }
  await command('npm', args, { cwd: folder })
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
