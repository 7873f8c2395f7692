import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { MUTANTS as modelMutants } from '../../model/src/mutants.ts'
import { faults } from '../src/faults/index.ts'
import { mutants } from '../src/mutants/mutants.ts'
import { GUARANTEES } from '../src/oracle/judge.ts'

const docs = new URL('../../../docs/', import.meta.url)
const page = readFileSync(new URL('guarantees.md', docs), 'utf8')
const section = page.slice(page.indexOf('## Where it is shown'), page.indexOf('## What is not promised'))
const rows = new Map(
  [...section.matchAll(/^\| (G\d) +\|(.+)\|$/gm)].map(([, guarantee, cells]) => [
    guarantee!,
    cells!.split(' | '),
  ]),
)
const namesIn = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)
const sorted = (names: readonly string[]) => names.toSorted()

describe.each(GUARANTEES)('what the page of the guarantees says of %s', (guarantee) => {
  const [inFaults = '', inTests = '', caught = '', caughtInModel = ''] = rows.get(guarantee) ?? []

  test('names faults and tests that there are', () => {
    expect(namesIn(inFaults)).not.toEqual([])
    expect(faults.map(({ name }) => name)).toEqual(expect.arrayContaining(namesIn(inFaults)))
    const files = [...inTests.matchAll(/\]\((.+?)\)/g)].map(([, link]) => link!)
    expect(files).not.toEqual([])
    expect(files.filter((file) => !existsSync(new URL(file, docs)))).toEqual([])
  })

  test('names each mutant that breaks it, and no other', () => {
    const breaking = mutants.filter(({ breaks }) => breaks.includes(guarantee)).map(({ name }) => name)
    expect(sorted(namesIn(caught))).toEqual(sorted(breaking))
    // That nothing comes to rest any more is nearest to a delivery that is lost.
    const ofModel = modelMutants.filter(({ breaks }) => (breaks === 'liveness' ? 'G5' : breaks) === guarantee)
    expect(sorted(namesIn(caughtInModel))).toEqual(sorted(ofModel.map(({ name }) => name)))
  })
})

test('the mutants that break no guarantee are named below the table', () => {
  const others = mutants.filter(({ breaks }) => breaks.every((name) => name === 'other'))
  const below = section.slice(section.indexOf('more mutants'))
  for (const { name } of others) expect(namesIn(below)).toContain(name)
})
