import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { faults } from '../src/faults/index.ts'
import { mutants } from '../src/mutants/mutants.ts'
import { GUARANTEES } from '../src/oracle/judge.ts'

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')

describe.each(mutants)('the mutant $name', ({ edits, fault, breaks }) => {
  test.each(edits)('changes what is there exactly once: $file', ({ file, find, replace }) => {
    expect(read(`packages/${file}`).split(find)).toHaveLength(2)
    expect(replace).not.toBe(find)
  })

  test('is looked for under a fault that there is, by what it breaks', () => {
    expect(faults.map(({ name }) => name)).toContain(fault)
    for (const name of breaks) expect([...GUARANTEES, 'other']).toContain(name)
  })
})

test('the page of the faults tells of each', () => {
  const told = [...read('docs/faults.md').matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name)
  expect(told).toEqual(mutants.map(({ name }) => name))
})

test('each guarantee has a mutant that breaks it', () => {
  // G8's is `transaction-without-fence`; a mutant may break more than one.
  const broken = new Set(mutants.flatMap(({ breaks }) => breaks))
  expect(GUARANTEES.filter((name) => !broken.has(name))).toEqual([])
})
