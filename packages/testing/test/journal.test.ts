import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { nanos, openJournal, readJournal } from '../src/index.ts'
import { startWorker } from '../src/vitest/index.ts'

const KEEPER = new URL('./fixtures/journal-keeper.ts', import.meta.url)

interface Mark {
  readonly at: bigint
  readonly who?: string
  readonly details?: { readonly until: bigint | null }
}

function createFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'opsledger-journal-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('marks come back as they were written, in the order of the clock and whoever wrote them', () => {
  const folder = createFolder()
  const [first, second] = [openJournal<Mark>(folder), openJournal<Mark>(folder)]
  first.mark({ at: 3n, who: 'first', details: { until: 2n ** 62n } })
  second.mark({ at: 2n, who: 'second', details: { until: null } })
  first.mark({ at: 10n, who: '10n of something' })
  second.mark({ at: 1n })
  for (const journal of [first, second]) journal.close()
  expect(readJournal<Mark>(folder)).toEqual([
    { at: 1n },
    { at: 2n, who: 'second', details: { until: null } },
    { at: 3n, who: 'first', details: { until: 2n ** 62n } },
    { at: 10n, who: '10n of something' },
  ])
})

test('a process that is killed loses nothing that it has marked', async () => {
  const folder = createFolder()
  const keeper = startWorker(KEEPER, { args: [folder] })
  await keeper.next<{ marks: number }>(({ marks }) => marks >= 500)
  await keeper.kill()
  let told = 0
  for await (const { marks } of keeper.messages<{ marks: number }>()) told = marks
  expect(readJournal(folder).length).toBeGreaterThanOrEqual(Math.max(500, told))
})

test('a line that a kill cut short is no mark', () => {
  const folder = createFolder()
  const journal = openJournal<Mark>(folder)
  journal.mark({ at: 1n })
  journal.close()
  appendFileSync(join(folder, readdirSync(folder)[0]!), '{"at":"2n","wh')
  expect(readJournal<Mark>(folder)).toEqual([{ at: 1n }])
})

test('the clock of the marks only goes on', () => {
  const [before, after] = [nanos(), nanos()]
  expect(after >= before).toBe(true)
})
