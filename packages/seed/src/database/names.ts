import pg from 'pg'

export interface TableName {
  readonly schema: string
  readonly table: string
}

/** `schema.table`, split at its one dot. */
export function splitName(name: string): TableName {
  const dot = name.indexOf('.')
  return { schema: name.slice(0, dot), table: name.slice(dot + 1) }
}

export const quote = (name: string): string => pg.escapeIdentifier(name)

export function quoteTable(name: string): string {
  const { schema, table } = splitName(name)
  return `${quote(schema)}.${quote(table)}`
}
