/** What a column can be given. `undefined` leaves the column to the database's default. */
export type SeedValue =
  | string
  | number
  | bigint
  | boolean
  | Date
  | Uint8Array
  | null
  | undefined
  | readonly SeedValue[]
  | { readonly [key: string]: SeedValue }

/** A row of unknown columns. */
export type SeedRow = Readonly<Record<string, SeedValue>>
