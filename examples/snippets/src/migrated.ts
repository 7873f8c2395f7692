/** What `npx opsledger migrate --with @opsledger/dedupe` does, for the snippets that begin after it. */
import { migrate } from '@opsledger/core'
import { migrations } from '@opsledger/dedupe/migrations'

await migrate({ connection: process.env.DATABASE_URL, with: [migrations] })
