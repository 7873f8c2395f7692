import { InvalidOptionError } from './errors.ts'

/**
 * A misspelt option would silently mean its default, such as a cooldown that nobody asked for.
 * @throws InvalidOptionError
 */
export function assertKnownOptions(of: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidOptionError(`options of ${of}`, options, `an object with ${known.join(', ')}`)
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw new InvalidOptionError(`${unknown} (of ${of})`, 'given', `only ${known.join(', ')}`)
  }
}
