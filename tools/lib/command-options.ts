import { parseArgs } from 'node:util'

/** What a command takes, in the words of `parseArgs`, and what a value of it may be. */
export interface CommandOptions {
  readonly [name: string]: {
    readonly type: 'string' | 'boolean'
    readonly multiple?: boolean
    /** The end of "…; allowed: ". */
    readonly allowed?: string
  }
}

/** A wrong option, told in one line to the person at the terminal. */
export class CommandOptionError extends Error {}

/** The option as it was given, and what it takes. */
export function wrongOption(option: string, value: string, allowed: string): CommandOptionError {
  return new CommandOptionError(`${option} is ${JSON.stringify(value)}; allowed: ${allowed}`)
}

/**
 * What `parseArgs` would refuse, in one line that names the option, its value and what is allowed.
 * @throws CommandOptionError
 */
export function assertCommandOptions(
  args: readonly string[],
  options: CommandOptions,
  { takesPositionals = false } = {},
): void {
  const known = Object.keys(options).map((name) => `--${name}`)
  const config = Object.fromEntries(Object.entries(options).map(([name, { type }]) => [name, { type }]))
  const { tokens } = parseArgs({
    args: [...args],
    options: config,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const given = new Set<string>()
  for (const token of tokens) {
    if (token.kind === 'positional' && !takesPositionals) {
      throw new CommandOptionError(
        `${JSON.stringify(token.value)} is no option; allowed: ${known.join(', ')}`,
      )
    }
    if (token.kind !== 'option') continue
    const { name, rawName, value, inlineValue } = token
    const option = Object.hasOwn(options, name) && rawName.startsWith('--') ? options[name] : undefined
    if (option === undefined) {
      throw new CommandOptionError(`${rawName} is not an option; allowed: ${known.join(', ')}`)
    }
    if (option.type === 'boolean' && value !== undefined) throw wrongOption(rawName, value, 'no value')
    // What follows a forgotten value is the next option.
    const isForgotten = value === undefined || (!inlineValue && value.startsWith('-'))
    if (option.type === 'string' && (isForgotten || value === '')) {
      throw new CommandOptionError(`${rawName} has no value; allowed: ${option.allowed ?? 'a text'}`)
    }
    if (given.has(name) && option.type === 'string' && !option.multiple) {
      throw new CommandOptionError(`${rawName} is given twice; allowed: once`)
    }
    given.add(name)
  }
}

/** Ends the process with 2 and the one line where an option is wrong; every other error is thrown on. */
export function exitFor(error: unknown): never {
  if (!(error instanceof CommandOptionError)) throw error
  console.error(error.message)
  process.exit(2)
}

/** What is read from the options, or the end of the process. */
export function orExit<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    return exitFor(error)
  }
}
