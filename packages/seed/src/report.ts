import { describeProblem, type Problem } from './check/problem.ts'

/** What was done, or with `dryRun` what would be. */
export interface SeedReport {
  readonly dryRun: boolean
  readonly mode: 'recreate' | 'truncate'
  readonly database: string
  readonly host: string
  readonly schemas: readonly string[]
  /**
   * The tables that were dropped or emptied, with the rows they held as the planner estimates them; null:
   * unknown.
   */
  readonly discarded: readonly { readonly name: string; readonly estimatedRows: number | null }[]
  /** Tables of the schemas that `truncate` left as they are. */
  readonly kept: readonly string[]
  /** The migrations in words; null where none are run. */
  readonly migrations: string | null
  /** The seeded tables in the order they are written. */
  readonly tables: readonly { readonly name: string; readonly rows: number }[]
  readonly rows: number
  /** Only a dry run reports problems here; otherwise they are thrown. */
  readonly problems: readonly Problem[]
  /**
   * What the plan was held against: the catalog it is written to, the one before the migrations (a dry run of
   * `recreate`), or nothing, because the tables are still to be made.
   */
  readonly checkedAgainst: 'catalog' | 'present catalog' | 'nothing'
  readonly elapsedMs: number
}

/** The report as lines of text: what CI prints. */
export function describeReport(report: SeedReport): string {
  const { dryRun, mode, database, host, schemas, discarded, kept, migrations, tables, rows, problems } =
    report
  const lines = [`${dryRun ? 'Plan for' : 'Reset and seeded'} ${database} on ${host}`]
  if (dryRun) lines[0] += ' (dry run: nothing was changed)'
  let step = 0
  const add = (text: string) => lines.push(`${++step}. ${text}`)
  const addTables = () => {
    for (const { name, estimatedRows } of discarded) {
      const about =
        estimatedRows === null ? '' : ` (about ${estimatedRows} ${estimatedRows === 1 ? 'row' : 'rows'})`
      lines.push(`   - ${name}${about}`)
    }
  }
  if (mode === 'recreate') {
    const drop = schemas.filter((schema) => schema !== 'public')
    if (drop.length > 0) add(`drop and recreate ${drop.join(', ')}`)
    if (schemas.includes('public')) add('empty public, which keeps its owner, grants and extensions')
    addTables()
    add(`run the migrations: ${migrations}`)
  } else {
    add(`empty ${discarded.length} tables in one statement and restart their sequences`)
    addTables()
  }
  if (kept.length > 0) lines.push(`   kept: ${kept.join(', ')}`)
  add('check the plan against the catalog')
  add(`seed ${rows} rows in one transaction`)
  for (const { name, rows } of tables) lines.push(`   - ${name}: ${rows}`)
  if (dryRun) lines.push(...describeCheck(report))
  lines.push(...problems.map((problem) => `  - ${describeProblem(problem)}`))
  return lines.join('\n')
}

function describeCheck({ problems, checkedAgainst }: SeedReport): string[] {
  const found = problems.length === 0 ? 'Nothing is missing' : `Missing: ${problems.length}`
  if (checkedAgainst === 'nothing') {
    return [`${found} in the plan itself. It is held against the tables when the migrations have made them.`]
  }
  const when =
    checkedAgainst === 'catalog' ? '' : ', held against the tables as they are before the migrations'
  return [`${found}${when}.`]
}
