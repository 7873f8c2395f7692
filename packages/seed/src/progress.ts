/** What happens, in the order of its phases. A step that a mode does not have is left out. */
export type Progress =
  | { readonly phase: 'check'; readonly database: string; readonly host: string }
  | { readonly phase: 'recreate'; readonly schemas: readonly string[] }
  | { readonly phase: 'migrate'; readonly how: string }
  /** What the migration command writes, line by line. */
  | { readonly phase: 'migration output'; readonly line: string }
  | { readonly phase: 'make rows'; readonly tables: number; readonly rows: number }
  | { readonly phase: 'truncate'; readonly tables: readonly string[] }
  /** After each batch. */
  | {
      readonly phase: 'seed'
      readonly table: string
      readonly rows: number
      readonly ofRows: number
      readonly totalRows: number
      readonly ofTotalRows: number
    }
  | { readonly phase: 'done'; readonly rows: number; readonly elapsedMs: number }

/** One line for a log. */
export function describeProgress(event: Progress): string {
  switch (event.phase) {
    case 'check':
      return `checked ${event.database} on ${event.host}: may be reset`
    case 'recreate':
      return `recreated ${event.schemas.join(', ')}`
    case 'migrate':
      return `migrating: ${event.how}`
    case 'migration output':
      return `  | ${event.line}`
    case 'make rows':
      return `made ${event.rows} rows of ${event.tables} tables, all requirements met`
    case 'truncate':
      return `emptied ${event.tables.join(', ')}`
    case 'seed':
      return `seeding ${event.table}: ${event.rows} of ${event.ofRows} (${event.totalRows} of ${event.ofTotalRows})`
    case 'done':
      return `seeded ${event.rows} rows in ${(event.elapsedMs / 1_000).toFixed(1)} s`
  }
}
