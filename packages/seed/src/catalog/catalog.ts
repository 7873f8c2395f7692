/** One column as the catalog has it. */
export interface CatalogColumn {
  readonly name: string
  /** The type to cast to, without a length: a cast with a length would cut values silently. */
  readonly cast: string
  /** The type as one would write it, such as `character varying(20)`. */
  readonly type: string
  /** The type behind domains: `uuid`, `varchar`, `int4`, … as `pg_type` names it. */
  readonly base: string
  readonly isArray: boolean
  readonly isDomain: boolean
  readonly isNotNull: boolean
  /** A default, an identity or a generation expression fills it when it is left out. */
  readonly isFilled: boolean
  /** Computed by an expression: nothing can be written to it. */
  readonly isGenerated: boolean
  /** Characters, for varchar(n) and char(n). */
  readonly maxLength: number | null
  readonly enumLabels: readonly string[] | null
  /** The sequence that the column owns, quoted. */
  readonly sequence: string | null
}

/** A unique constraint or index over plain columns of all rows. */
export interface UniqueKey {
  readonly name: string
  readonly columns: readonly string[]
  readonly nullsNotDistinct: boolean
}

export interface ForeignKey {
  /** Quoted, with its schema. */
  readonly constraint: string
  readonly columns: readonly string[]
  readonly parent: string
  readonly parentColumns: readonly string[]
  readonly isDeferrable: boolean
  /** MATCH FULL: either all columns are null or none. */
  readonly isFull: boolean
}

export interface CatalogTable {
  readonly name: string
  readonly columns: ReadonlyMap<string, CatalogColumn>
  readonly uniqueKeys: readonly UniqueKey[]
  readonly foreignKeys: readonly ForeignKey[]
}

/** The tables of the plan that the database has, and what else its schemas hold. */
export interface Catalog {
  readonly versionNumber: number
  readonly tables: ReadonlyMap<string, CatalogTable>
  /** Every relation of the named schemas with its kind, for messages. */
  readonly relations: ReadonlyMap<string, string>
}
