import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { InvalidOptionError, messageOf } from '../errors.ts'
import type { ResetAndSeedOptions } from '../options.ts'

/**
 * What a config module exports as its default: the options of `resetAndSeed`, with the place left to the
 * command.
 */
export type SeedConfig = Omit<ResetAndSeedOptions, 'connection' | 'dryRun' | 'onProgress'> &
  Partial<Pick<ResetAndSeedOptions, 'connection'>>

/** Gives a config module its types. */
export const defineSeed = (config: SeedConfig): SeedConfig => config

/** @throws InvalidOptionError when the module cannot be loaded or has no such export */
export async function loadConfig(path: string): Promise<SeedConfig> {
  let module: { readonly default?: unknown }
  try {
    module = await import(pathToFileURL(resolve(path)).href)
  } catch (error) {
    const hint = path.endsWith('ts') ? '; TypeScript files need Node 22.18 or later' : ''
    throw new InvalidOptionError('config', path, `a module that can be imported (${messageOf(error)}${hint})`)
  }
  const config = module.default
  if (typeof config !== 'object' || config === null || !('tables' in config)) {
    throw new InvalidOptionError('config', path, 'a module with `export default defineSeed({ … })`')
  }
  return config as SeedConfig
}
