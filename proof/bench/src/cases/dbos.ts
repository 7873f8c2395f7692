import { DBOS } from '@dbos-inc/dbos-sdk'
import type { Prepare } from '../case.ts'

/** A workflow whose id is the work's: DBOS keeps its own ledger of workflows, so there are no writes of ours. */
export const prepareDbos: Prepare = async ({ url, handler }) => {
  const workflow = DBOS.registerWorkflow(
    async (index: number) => {
      await handler(index)
    },
    { name: 'job' },
  )
  DBOS.setConfig({ name: 'bench', systemDatabaseUrl: url, logLevel: 'error' })
  await DBOS.launch()
  return {
    async job(index) {
      const handle = await DBOS.startWorkflow(workflow, { workflowID: `work-${index}` })(index)
      // A duplicate is given a handle that would ask the database every second: it has no need to wait for that.
      if (!('workflowPromise' in handle)) return false
      await handle.getResult()
      return true
    },
    close: () => DBOS.shutdown(),
  }
}
