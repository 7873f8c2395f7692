import { InvalidOptionError } from './errors.ts'
import { suggest } from './nearest-name.ts'

/**
 * A misspelt option would silently mean its default, such as a plan without tables.
 *
 * @throws InvalidOptionError
 */
export function assertKnownOptions(of: string, options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw new InvalidOptionError(unknown, `${unknown} is not an option of ${of}; ${suggest(unknown, known)}`)
  }
}

/** The names of an options type, each once; the compiler says when one is missing or none of them. */
export const namesOf = <T extends object>(
  names: Readonly<Record<keyof T & string, true>>,
): readonly string[] => Object.keys(names)
