import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { faults } from '../src/faults/index.ts'
import { controlOf, editsOf, mutants } from '../src/mutants/mutants.ts'
import { GUARANTEES } from '../src/oracle/judge.ts'

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')

describe.each(mutants)('the mutant $name', (mutant) => {
  const { name, edits, uncovering = [], fault, breaks } = mutant

  test.each([...edits, ...uncovering])(
    'changes what is there exactly once: $file',
    ({ file, find, replace }) => {
      expect(read(`packages/${file}`).split(find)).toHaveLength(2)
      expect(replace).not.toBe(find)
    },
  )

  test('is looked for under a fault that there is, by what it breaks', () => {
    expect(faults.map(({ name }) => name)).toContain(fault)
    for (const name of breaks) expect([...GUARANTEES, 'other']).toContain(name)
  })

  test('is the broken rule and what covers for it; its control only the latter', () => {
    expect(editsOf(name)).toEqual([...edits, ...uncovering])
    expect(editsOf(controlOf(mutant))).toEqual(uncovering)
    expect(edits.length).toBeGreaterThan(0)
  })
})

test('the page of the faults tells of each what it does and where it is caught', () => {
  const page = read('docs/faults.md')
  const rows = [...page.slice(page.indexOf('## Mutants')).matchAll(/^\| `(.+?)` +\| (.+?) +\| (.+?) +\|$/gm)]
  const told = rows.map(([, name, does, fault]) => ({ name, does, fault }))
  expect(told).toEqual(mutants.map(({ name, does, fault }) => ({ name, does, fault })))
})

test('the page of the faults names them all', () => {
  const list = read('docs/faults.md').match(/^The faults: ([^.]+)\./m)![1]!
  expect([...list.matchAll(/`([^`]+)`/g)].map(([, name]) => name)).toEqual(faults.map(({ name }) => name))
})

test('each guarantee has a mutant that breaks it', () => {
  // G8's is `transaction-without-fence`; a mutant may break more than one.
  const broken = new Set(mutants.flatMap(({ breaks }) => breaks))
  expect(GUARANTEES.filter((name) => !broken.has(name))).toEqual([])
})
