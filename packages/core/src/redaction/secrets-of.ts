import type { ConnectionSettings } from '../database/executor.ts'

/** Values in connection settings that must never be shown: the password, wherever it stands. */
export function secretsOf(settings: ConnectionSettings | null): string[] {
  if (settings === null) return []
  const secrets: string[] = []
  if (typeof settings.password === 'string') secrets.push(settings.password)
  if (settings.connectionString !== undefined) {
    secrets.push(settings.connectionString)
    try {
      const { password } = new URL(settings.connectionString)
      if (password !== '') secrets.push(password, decodeURIComponent(password))
    } catch {
      // Not a URL: the whole string is a secret already.
    }
  }
  return secrets.filter((secret) => secret !== '')
}
