import { describe, expect, test } from 'vitest'
import { explore } from '../src/explore.ts'
import { coveredSystemOf, MUTANTS, systemOf } from '../src/mutants.ts'
import { MODES } from '../src/rules.ts'
import { systemFor } from '../src/scenarios.ts'

describe('the claim protocol, every reachable state', () => {
  for (const mode of MODES) {
    test(`holds in ${mode} mode when nothing fails, and a duplicate is dispatched`, () => {
      const report = explore(systemFor(mode, { faults: 0, deliveries: 2, alphabet: 'all' }))
      expect(report).toMatchObject({ failure: null, isComplete: true })
      expect(report.states).toBeGreaterThan(400)
    })
    test(`holds in ${mode} mode under any one fault that silences a process`, () => {
      const report = explore(systemFor(mode, { faults: 1, deliveries: 1, alphabet: 'silence' }))
      expect(report).toMatchObject({ failure: null, isComplete: true })
      expect(report.states).toBeGreaterThan(2_000)
    })
  }
})

test('a check that ends at its bound says that it is not complete', () => {
  const system = systemFor('lease', { faults: 1, deliveries: 1, alphabet: 'silence' })
  const report = explore(system, { maxStates: 1_000 })
  expect(report).toMatchObject({ failure: null, isComplete: false })
  expect(report.states).toBeLessThan(1_100)
})

describe('a protocol with one thing taken away is caught', () => {
  for (const mutant of MUTANTS) {
    test(`${mutant.name}: ${mutant.without}`, () => {
      const report = explore(systemOf(mutant), { checksProgress: mutant.breaks === 'liveness' })
      expect(report.failure?.invariant).toBe(mutant.breaks)
      expect(report.failure!.trace.length).toBeGreaterThan(2)
    })
  }
})

describe('what one key leaves open, another covers', () => {
  for (const mutant of MUTANTS) {
    const covered = coveredSystemOf(mutant)
    // The larger ones are left to `pnpm model --mutants`.
    if (covered === null || covered.mode === 'lease') continue
    test(`${mutant.name} is covered by ${mutant.covered!.by}`, () => {
      expect(explore(covered)).toMatchObject({ failure: null, isComplete: true })
    })
  }
})
