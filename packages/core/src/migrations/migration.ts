/** One object of the schema as SQL. `s` is the quoted schema name, ready to prefix; `name` is the bare one. */
export type SqlFile = (s: string, name: string) => string

/** One step of a schema, never changed once it is released. */
export interface SchemaMigration {
  /**
   * Numbered, in the order of application. Ends with `_additive` when code that does not know it may run on beside it:
   * while workers of two versions share a schema, that is what the older ones go by.
   */
  readonly name: string
  readonly statements: readonly SqlFile[]
}

/** The ordered steps of one package, with a migration table of its own (`<package>_migration`). */
export interface MigrationSet {
  readonly package: string
  readonly migrations: readonly SchemaMigration[]
}

/** Whether code that does not know this migration may use the schema all the same. */
export function isAdditive(migrationName: string): boolean {
  return migrationName.endsWith('_additive')
}
