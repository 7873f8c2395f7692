import { describe, expect, test } from 'vitest'
import { good } from '../support/story.ts'

describe('G6, the host is safe', () => {
  test('a process that fell, unless it was meant to', () => {
    const fell = () => {
      const story = good()
      story.fallen.push('process 7 ended with 70: TransactionPoolerError')
      return story
    }
    expect(fell().broken()).toEqual(['G6'])
    expect(
      fell()
        .with({ mayFall: (why) => why.includes('TransactionPoolerError') })
        .broken(),
    ).toEqual([])
    const marked = good()
    marked.marks.push({ mark: 'fell', at: 1n, pid: 1, why: 'unhandledRejection' })
    expect(marked.broken()).toEqual(['G6'])
  })
  test('an error that nobody expects there and then', () => {
    const met = (code: string, sqlState: string | null = null) => good().unavailable('d2', 5, code, sqlState)
    expect(met('database_unavailable').broken()).toEqual([])
    expect(met('ledger_closed').broken()).toEqual(['G6'])
    expect(met('other').broken()).toEqual(['G6'])
    expect(met('database_unavailable').with({ expectedCodes: [] }).broken()).toEqual(['G6'])
    const isFull = ({ answer, at }: { answer: object; at: bigint }) =>
      'sqlState' in answer && answer.sqlState === '53100' && at < 6_000_000n
    expect(met('other', '53100').with({ mayMeet: isFull }).broken()).toEqual([])
    expect(met('other', '40001').with({ mayMeet: isFull }).broken()).toEqual(['G6'])
    expect(good().unavailable('d2', 7, 'other', '53100').with({ mayMeet: isFull }).broken()).toEqual(['G6'])
  })
  test('a connection that is left', () => {
    const leaking = good()
    leaking.ledger.connectionsLeft = 1
    expect(leaking.broken()).toEqual(['G6'])
  })
})
