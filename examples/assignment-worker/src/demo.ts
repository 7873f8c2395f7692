/**
 * The demo: `pnpm demo`. With `--break=guard` its workers admit everything, to see that it notices; with `--only=retry`
 * it plays what has "retry" in its claim.
 */
import { styleText } from 'node:util'
import { createChecklist } from './demo/checks.ts'
import { createDrawing, type Drawing } from './demo/draw.ts'
import { cooldownScenes } from './demo/scenes/cooldown.ts'
import { doubleDispatch } from './demo/scenes/double-dispatch.ts'
import { handBack } from './demo/scenes/hand-back.ts'
import { lostRun, takeover } from './demo/scenes/killed-worker.ts'
import { partialFailure } from './demo/scenes/partial-failure.ts'
import { reset } from './demo/scenes/reset.ts'
import { retry } from './demo/scenes/retry.ts'
import type { Scene } from './demo/scenes/scene.ts'
import { secret } from './demo/scenes/secret.ts'
import { twoReconciles } from './demo/scenes/two-reconciles.ts'
import { COOLDOWN_MS, LEASE_MS, setStage } from './demo/stage.ts'
import { ledgerTable } from './demo/table.ts'

const option = (name: string) =>
  process.argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3) ?? ''

const { tooEarly, afterwards } = cooldownScenes()
const SCENES: readonly Scene[] = [
  reset,
  doubleDispatch,
  tooEarly,
  afterwards,
  retry,
  partialFailure,
  secret,
  twoReconciles,
  takeover,
  lostRun,
  handBack,
]

const chosen = SCENES.filter((scene) => scene.shows.includes(option('only')))
if (chosen.length === 0 || process.argv.includes('--help')) {
  console.error(
    `--only=WORD plays what has the word in its claim:\n${SCENES.map(({ shows }) => `  ${shows}`).join('\n')}`,
  )
  process.exit(process.argv.includes('--help') ? 0 : 1)
}

/** @returns whether all of it was shown */
async function perform(exit: AsyncDisposableStack, draw: Drawing): Promise<boolean> {
  const startedAt = performance.now()
  const stage = await setStage(exit, draw, option('break') === 'guard' ? 'guard' : null)
  draw.line(`for this demo a lease is ${LEASE_MS} ms and a cooldown ${COOLDOWN_MS} ms (usual: 15 s, 15 min)`)

  const checklist = createChecklist()
  for (const { shows, play } of chosen) {
    draw.heading(shows)
    await checklist.show(shows, (expect) => play(stage, expect))
  }

  const { runs } = await stage.ledger.acrossTenants.list(stage.workspaceId)
  draw.redraw([])
  draw.heading('the ledger')
  for (const line of ledgerTable(runs)) draw.line(line)
  draw.heading('shown:')
  for (const { what, problems } of checklist.shown) {
    draw.line(`${problems.length === 0 ? styleText('green', '✓') : styleText('red', '✗')} ${what}`)
    for (const problem of problems) draw.line(`    ${problem}`)
  }
  draw.line(`\nin ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`)
  return checklist.shown.length > 0 && checklist.shown.every(({ problems }) => problems.length === 0)
}

const interrupted = new Promise<'interrupted'>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve('interrupted'))
})
await using exit = new AsyncDisposableStack()
using draw = createDrawing()
const ending = await Promise.race([perform(exit, draw), interrupted])
process.exitCode = ending === 'interrupted' ? 130 : ending ? 0 : 1
