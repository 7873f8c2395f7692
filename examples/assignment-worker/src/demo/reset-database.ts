import { type Progress, resetAndSeed, type SeedReport } from '@opsledger/seed'
import plan from '../app/seed.config.ts'

/** The application's plan, on a database that was made a moment ago: that is why this one may be reset. */
export function resetDatabase(
  database: { readonly url: string; readonly name: string },
  onProgress?: (event: Progress) => void,
): Promise<SeedReport> {
  const { hostname } = new URL(database.url)
  return resetAndSeed({
    ...plan,
    connection: database.url,
    // The letters of a random name may happen to look like production.
    allow: { database: database.name, hosts: [hostname], productionLike: [database.name, hostname] },
    onProgress,
  })
}
