import { ASSIGNMENTS_PER_POLICY as ALL, assignmentPage } from '../provider.ts'
import { endOf, type Scene } from './scene.ts'

const PAGE = 'GET /policies/flaky/assignments?page='

export const retry: Scene = {
  shows: 'a retry ends with the counts of the final attempt only',
  async play({ provider, operations, draw, send, ended, job, runsOf }, expect) {
    // The first attempt counts two failed items of ten and breaks off; the second one is asked to slow down.
    provider.script(`${PAGE}1`, { status: 200, body: assignmentPage('flaky', 1, 2) })
    provider.script(`${PAGE}3`, { status: 503, body: { error: 'try again' } })
    provider.script(`${PAGE}4`, {
      status: 429,
      headers: { 'retry-after': '1' },
      body: { error: 'slow down' },
    })

    const { run: opened, state } = await operations.fetch.open(job('flaky'))
    draw.detail(`the dispatcher opened run ${opened.id}`)
    expect('the dispatcher', state, 'opened')
    const delivered = await ended('fetch', await send('fetch', { ...job('flaky'), runId: opened.id }))

    const [run, ...others] = await runsOf('assignment.fetch', 'flaky')
    expect('other runs', others.length, 0)
    expect('the run that was opened', run?.id, opened.id)
    expect('how it ended', endOf(run), { outcome: 'succeeded', attempt: 2, counts: [ALL, ALL, 0] })
    expect('failed items of the final attempt', run?.itemFailures, {})
    const [first] = run?.pastAttempts ?? []
    expect(
      'the first attempt',
      [first?.reasonCode, first?.counts],
      ['provider.unavailable', { total: ALL, processed: 10, failed: 2 }],
    )
    expect('retries of the job', delivered.retryCount, 1)
    const [throttledAt, againAt] = provider.requestsAt(`${PAGE}4`)
    expect('the client waited as long as it was asked to', againAt! - throttledAt! >= 1_000, true)
  },
}
