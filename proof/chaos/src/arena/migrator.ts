import { applyMutant } from '../mutants/apply.ts'

const [url, mutant] = process.argv.slice(2)
if (mutant) applyMutant(mutant)
const { migrate } = await import('@opsledger/core')
const { migrations } = await import('@opsledger/dedupe/migrations')
await migrate({ connection: url!, with: [migrations] })
