import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** The beginning of what a program said, which names the error; the rest is stacks and driver settings. */
const MAX_LINES = 60

export interface CommandOptions {
  readonly cwd: string
  readonly env?: NodeJS.ProcessEnv
}

/** What a program that failed had said, on both streams. */
class CommandError extends Error {
  readonly code = 'command_failed'

  constructor(command: string, output: string) {
    super(`${command} failed:\n${output}`)
  }
}

/** The standard output of a program that ended well. @throws CommandError */
export async function command(
  program: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, [...args], { maxBuffer: 64 << 20, ...options })
    return stdout
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as { stdout?: string; stderr?: string } & Error
    const output = `${stdout}${stderr}`.trim() || message
    const beginning = output.split('\n').slice(0, MAX_LINES).join('\n')
    throw new CommandError([program, ...args].join(' '), beginning)
  }
}
