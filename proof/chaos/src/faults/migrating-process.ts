/** A process of a stampede: loads the library, says that it is ready, and migrates what it is told to. */
import { applyMutant } from '../mutants/apply.ts'

export type MigratingAnswer = { readonly applied: readonly string[] } | { readonly error: string }

const mutant = process.argv[2]
if (mutant) applyMutant(mutant)
const { migrate } = await import('@opsledger/core')
const { migrations } = await import('@opsledger/dedupe/migrations')

process.on('message', async ({ url }: { url: string }) => {
  let answer: MigratingAnswer
  try {
    const { applied } = await migrate({ connection: url, with: [migrations] })
    answer = { applied }
  } catch (error) {
    answer = { error: String(error) }
  }
  process.send!(answer)
})
process.send!('ready')
