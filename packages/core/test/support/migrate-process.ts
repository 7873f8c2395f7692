// One process that migrates as soon as it is told to, and says how that ended.
import { migrate } from '@opsledger/core'

const [url] = process.argv.slice(2)

process.once('message', async () => {
  try {
    const { applied } = await migrate({ connection: url! })
    process.send!({ applied }, () => process.exit(0))
  } catch (error) {
    process.send!({ error: String(error) }, () => process.exit(1))
  }
})
process.send!('ready')
