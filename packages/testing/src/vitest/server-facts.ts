import { inject } from 'vitest'

/** False on a server that trusts everybody: there is no password to be wrong, or to be kept secret. */
export function serverChecksPasswords(): boolean {
  return new URL(inject('opsledgerServer').url).password !== ''
}

export function serverMajor(): number {
  return Number.parseInt(inject('opsledgerServer').version, 10)
}
