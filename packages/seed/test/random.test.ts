import { describe, expect, it } from 'vitest'
import { uuid } from '../src/plan/generators.ts'
import { cellRandoms, columnSeed, splitMix64, Xoshiro128 } from '../src/plan/random.ts'
import { makeColumn } from './support/make.ts'

describe('the random source', () => {
  it('is the published SplitMix64', () => {
    const next = splitMix64(1234567n)
    expect([next(), next(), next()]).toEqual([
      6457827717110365317n,
      3203168211198807973n,
      9817491932198370423n,
    ])
  })

  it('is the published xoshiro128** 1.1', () => {
    const engine = new Xoshiro128()
    engine.setState(1, 2, 3, 4)
    expect(Array.from({ length: 6 }, () => engine.next())).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492,
    ])
  })

  it('gives a cell the same values whatever is drawn for other cells', () => {
    const random = cellRandoms(columnSeed(7, 'app.tenants.name'))
    const alone = random(41).uint32()
    random(40).uint32()
    random(40).uint32()
    expect(random(41).uint32()).toBe(alone)
  })

  it('differs between seeds, columns and rows', () => {
    const first = (seed: number, name: string, row: number) =>
      cellRandoms(columnSeed(seed, name))(row).uint32()
    expect(
      new Set([first(1, 'a.b.c', 0), first(2, 'a.b.c', 0), first(1, 'a.b.d', 0), first(1, 'a.b.c', 1)]).size,
    ).toBe(4)
  })

  it('spreads over its range, both ends included', () => {
    const random = cellRandoms(columnSeed(1, 'app.dice.eyes'))
    const eyes = Array.from({ length: 6_000 }, (_, row) => random(row).integer(1, 6))
    for (let eye = 1; eye <= 6; eye++) {
      const times = eyes.filter((one) => one === eye).length
      expect(times).toBeGreaterThan(850)
      expect(times).toBeLessThan(1_150)
    }
  })
})

describe('UUIDs', () => {
  it('have version 4 and the variant of RFC 9562, and none comes twice in 100,000', () => {
    const values = makeColumn(uuid.v4(), 100_000)
    expect(
      values.every((value) =>
        /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(String(value)),
      ),
    ).toBe(true)
    expect(new Set(values).size).toBe(100_000)
  })

  it('of version 7 grow with the row', () => {
    const values = makeColumn(uuid.v7('2026-02-03T00:00:00Z'), 1_000).map(String)
    expect(values.every((value) => /^019c1ff[0-9a-f]{1}/.test(value) || /^019c/.test(value))).toBe(true)
    expect([...values].sort()).toEqual(values)
    expect(values.every((value) => value[14] === '7' && '89ab'.includes(value[19]!))).toBe(true)
  })
})
