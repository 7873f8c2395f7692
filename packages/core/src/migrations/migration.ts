/** One object of the schema as SQL. `s` is the quoted schema name, ready to prefix; `name` is the bare one. */
export type SqlFile = (s: string, name: string) => string

/** One step of a schema, never changed once it is released. */
export interface SchemaMigration {
  readonly name: string
  readonly statements: readonly SqlFile[]
}

/** The ordered steps of one package, with a migration table of its own (`<package>_migration`). */
export interface MigrationSet {
  readonly package: string
  readonly migrations: readonly SchemaMigration[]
}
