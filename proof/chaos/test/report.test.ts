import { describe, expect, test } from 'vitest'
import type { Outcome } from '../src/fault.ts'
import { faults } from '../src/faults/index.ts'
import { publicationOf } from '../src/report/publication.ts'
import { brokenOffReport, type FaultReport, isClean, reportOf, skippedReport } from '../src/report/report.ts'
import { tableOf } from '../src/report/table.ts'
import { unitOf } from '../src/report/units.ts'

const [killed, frozen] = ['worker-killed', 'frozen-worker'].map(
  (name) => faults.find((one) => one.name === name)!,
)
const clean: Outcome = { injections: 600, rulings: [] }
const violated: Outcome = {
  injections: 600,
  rulings: [
    { sections: [], answers: [], exempted: [], violations: [{ guarantee: 'G1', what: 'two at once' }] },
  ],
}

function fileOf(reports: readonly FaultReport[], changes: object = {}) {
  const content = {
    seed: 1,
    isLong: true,
    leaseMs: 1_500,
    date: '2026-01-02',
    server: 'Postgres 18',
    node: 'v26',
    machine: 'a machine',
    isComplete: true,
    faults: reports,
    ...changes,
  }
  return { file: 'results.json', content }
}

test('every fault has a unit, which its row and its results name', () => {
  for (const { name } of faults) expect(unitOf(name)).not.toBe('')
  const report = reportOf(killed!, clean, 1)
  expect(report).toMatchObject({ injections: 600, unit: 'kills', bound95: 0.005 })
  expect(tableOf([report])).toMatch(/\| 600 kills .*\| 0\.50 % /)
})

test('a row with a violation or a complaint has no bound, whatever its file says', () => {
  const complaining = { ...clean, complaints: ['too late'] }
  for (const outcome of [violated, complaining]) {
    const report = reportOf(killed!, outcome, 1)
    expect(report.bound95).toBeNull()
    expect(tableOf([{ ...report, bound95: 0.005 }])).toMatch(/\| – +\| 1 s +\|$/)
  }
})

test('a fault that broke off is not clean, and neither is one with a violation', () => {
  expect(isClean(reportOf(killed!, clean, 1))).toBe(true)
  expect(isClean(reportOf(killed!, violated, 1))).toBe(false)
  const broken = brokenOffReport(killed!, new Error('The proxy did not start'), 1)
  expect(isClean(broken)).toBe(false)
  expect(broken.findings[0]).toContain('The proxy did not start')
  expect(tableOf([broken])).toContain('broke off')
})

describe('what is published', () => {
  const both = [killed!, frozen!]

  test('names the faults that are missing, and why', () => {
    const file = fileOf([skippedReport(frozen!, 'it is too warm')])
    expect(publicationOf([file], both)).toContain(
      'Missing, so nothing is known of them: `worker-killed`, `frozen-worker` (skipped: it is too warm).',
    )
  })

  test('keeps what an earlier run found beside the later one', () => {
    const text = publicationOf(
      [fileOf([reportOf(killed!, violated, 1)]), fileOf([reportOf(killed!, clean, 1)], { seed: 2 })],
      [killed!],
    )
    expect(text).toContain(`- ${killed!.title} (an earlier run): G1: two at once`)
    expect(text).toMatch(/\(an earlier run\) +\| 600 kills \| 0 +\| G1: 1/)
    expect(text).toContain('seed 1, 2')
  })

  test('says how many findings are not spelt out', () => {
    const rulings = Array.from({ length: 25 }, () => violated.rulings[0]!)
    const text = publicationOf([fileOf([reportOf(killed!, { ...violated, rulings }, 1)])], [killed!])
    expect(text).toContain(`- ${killed!.title}: and 5 more`)
  })

  test('is never of the short form, nor of the mutants', () => {
    const short = fileOf([reportOf(killed!, clean, 1)], { isLong: false })
    expect(() => publicationOf([short], both)).toThrow('results.json holds results of the short form')
    const mutants = { file: 'results.json', content: { isLong: true, mutants: [] } }
    expect(() => publicationOf([mutants], both)).toThrow('results.json holds no results of faults')
    expect(() => publicationOf([], both)).toThrow('Name the files')
  })
})
