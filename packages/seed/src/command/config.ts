import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { InvalidOptionError, messageOf } from '../errors.ts'
import { assertKnownOptions } from '../known-options.ts'
import { OPTIONS, type ResetAndSeedOptions } from '../options.ts'

/**
 * What a config module exports as its default: the options of `resetAndSeed`, with the place left to the
 * command.
 */
export type SeedConfig = Omit<ResetAndSeedOptions, 'connection' | 'dryRun' | 'onProgress'> &
  Partial<Pick<ResetAndSeedOptions, 'connection'>>

/** What the command line decides would be overruled in silence, and a dry run that is none is a reset. */
const OF_THE_COMMAND_LINE: readonly string[] = [
  'dryRun',
  'onProgress',
] satisfies (keyof ResetAndSeedOptions)[]

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
  if (typeof config !== 'object' || config === null) {
    throw new InvalidOptionError('config', path, 'a module with `export default defineSeed({ … })`')
  }
  const known = OPTIONS.filter((name) => !OF_THE_COMMAND_LINE.includes(name))
  assertKnownOptions(`the config ${path}`, config, known)
  return config as SeedConfig
}
