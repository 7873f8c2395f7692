/** The part of pg's client settings that this package reads; the rest is passed through as it is. */
export interface ConnectionSettings {
  readonly connectionString?: string
  readonly host?: string
  readonly port?: number
  readonly database?: string
  readonly user?: string
  readonly password?: string | (() => string | Promise<string>)
  readonly [setting: string]: unknown
}

/** Where a connection really goes, after pg has read the URL and the PG… environment variables. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
}
