import type pg from 'pg'
import type { Target } from './database/connection-settings.ts'
import type { Settings } from './options.ts'
import type { Progress } from './progress.ts'
import type { Identity } from './safety/identity.ts'

/** One reset under way: the connection that does everything, and what it was found to be connected to. */
export interface Reset {
  readonly client: pg.Client
  readonly target: Target
  readonly identity: Identity
  readonly settings: Settings
  readonly emit: (event: Progress) => void
}
