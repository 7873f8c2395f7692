import { describe, expect, test } from 'vitest'
import { createBatcher, DEFAULT_MAX_BATCH } from '../src/batcher.ts'

/** A send whose batches are recorded, and end when the test says so. */
function createSend() {
  const batches: { items: readonly string[]; resolve: () => void; reject: (error: unknown) => void }[] = []
  const send = (items: readonly string[]) =>
    new Promise<readonly string[]>((resolve, reject) => {
      batches.push({ items, resolve: () => resolve(items.map((item) => `${item}!`)), reject })
    })
  return { batches, send }
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

test('a lone item is sent within the same turn of the event loop', async () => {
  const { batches, send } = createSend()
  const batcher = createBatcher(send)
  const answer = batcher.add('a')
  let isNextTurn = false
  setImmediate(() => {
    isNextTurn = true
  })
  await Promise.resolve()
  expect(isNextTurn).toBe(false)
  expect(batches.map(({ items }) => items)).toEqual([['a']])
  batches[0]!.resolve()
  expect(await answer).toBe('a!')
})

test('what arrives in one turn shares a send, and each gets its own answer', async () => {
  const { batches, send } = createSend()
  const batcher = createBatcher(send)
  const answers = ['a', 'b', 'c'].map((item) => batcher.add(item))
  await turn()
  expect(batches.map(({ items }) => items)).toEqual([['a', 'b', 'c']])
  batches[0]!.resolve()
  expect(await Promise.all(answers)).toEqual(['a!', 'b!', 'c!'])
})

test('what arrives during a send waits for that one only, and shares the next', async () => {
  const { batches, send } = createSend()
  const batcher = createBatcher(send)
  const first = batcher.add('a')
  await turn()
  const later = [batcher.add('b')]
  await turn()
  later.push(batcher.add('c'))
  await turn()
  expect(batches).toHaveLength(1)
  batches[0]!.resolve()
  expect(await first).toBe('a!')
  await turn()
  expect(batches.map(({ items }) => items)).toEqual([['a'], ['b', 'c']])
  batches[1]!.resolve()
  expect(await Promise.all(later)).toEqual(['b!', 'c!'])
})

test('more than a batch holds is sent in the order of arrival, a batch at a time', async () => {
  const { batches, send } = createSend()
  const batcher = createBatcher(send, { maxBatch: 2 })
  const answers = ['a', 'b', 'c', 'd', 'e'].map((item) => batcher.add(item))
  for (const expected of [['a', 'b'], ['c', 'd'], ['e']]) {
    await turn()
    expect(batches.at(-1)?.items).toEqual(expected)
    batches.at(-1)!.resolve()
  }
  expect(await Promise.all(answers)).toEqual(['a!', 'b!', 'c!', 'd!', 'e!'])
  expect(batches).toHaveLength(3)
})

test('a batch holds 128 unless told otherwise', async () => {
  const sizes: number[] = []
  const batcher = createBatcher(async (items: readonly number[]) => {
    sizes.push(items.length)
    return items
  })
  await Promise.all(Array.from({ length: DEFAULT_MAX_BATCH + 1 }, (_, n) => batcher.add(n)))
  expect(sizes).toEqual([128, 1])
})

describe('a send that fails', () => {
  const failing = (isBad: (item: string) => boolean) => {
    const sent: (readonly string[])[] = []
    const send = async (items: readonly string[]) => {
      sent.push(items)
      const bad = items.filter(isBad)
      if (bad.length > 0) throw new Error(`bad: ${bad}`)
      return items
    }
    return { sent, send }
  }

  test('is sent again one by one, so that a bad item spoils none of its neighbours', async () => {
    const { sent, send } = failing((item) => item === 'b')
    const batcher = createBatcher(send)
    const answers = await Promise.allSettled(['a', 'b', 'c'].map((item) => batcher.add(item)))
    expect(answers).toEqual([
      { status: 'fulfilled', value: 'a' },
      { status: 'rejected', reason: new Error('bad: b') },
      { status: 'fulfilled', value: 'c' },
    ])
    expect(sent).toEqual([['a', 'b', 'c'], ['a'], ['b'], ['c']])
  })

  test('of a lone item is that item’s failure, and is not sent again', async () => {
    const { sent, send } = failing(() => true)
    await expect(createBatcher(send).add('a')).rejects.toThrow('bad: a')
    expect(sent).toEqual([['a']])
  })

  test('for a reason that isolating cannot help is the failure of all, at once', async () => {
    const { sent, send } = failing(() => true)
    const batcher = createBatcher(send, { isolates: () => false })
    const answers = await Promise.allSettled(['a', 'b'].map((item) => batcher.add(item)))
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(sent).toEqual([['a', 'b']])
  })

  test('leaves the batcher as it was for what comes next', async () => {
    const { send } = failing((item) => item === 'b')
    const batcher = createBatcher(send)
    await expect(batcher.add('b')).rejects.toThrow()
    expect(await batcher.add('a')).toBe('a')
  })

  test('by throwing at once is treated as one that rejects', async () => {
    const batcher = createBatcher((() => {
      throw new Error('at once')
    }) as () => Promise<string[]>)
    await expect(batcher.add('a')).rejects.toThrow('at once')
    await batcher.idle()
  })
})

test('idle resolves when nothing waits and nothing is in flight', async () => {
  const { batches, send } = createSend()
  const batcher = createBatcher(send)
  await batcher.idle()
  const answers = [batcher.add('a')]
  let isIdle = false
  const idle = batcher.idle().then(() => {
    isIdle = true
  })
  await turn()
  answers.push(batcher.add('b'))
  batches[0]!.resolve()
  await turn()
  expect(isIdle).toBe(false)
  batches[1]!.resolve()
  await idle
  expect(await Promise.all(answers)).toEqual(['a!', 'b!'])
})

test('with two sends at once, what arrives while one is under way goes with the other; a third waits', async () => {
  const sends: { items: readonly number[]; end: () => void }[] = []
  const batcher = createBatcher(
    (items: readonly number[]) =>
      new Promise<number[]>((resolve) => sends.push({ items, end: () => resolve([...items]) })),
    { maxBatch: 2, maxInFlight: 2 },
  )
  const added = [1, 2, 3].map((item) => batcher.add(item))
  await Promise.resolve()
  expect(sends.map(({ items }) => items)).toEqual([[1, 2], [3]])
  added.push(batcher.add(4), batcher.add(5))
  await new Promise(setImmediate)
  expect(sends).toHaveLength(2)
  sends[1]!.end()
  expect(await added[2]).toBe(3)
  await new Promise(setImmediate)
  expect(sends.map(({ items }) => items)).toEqual([[1, 2], [3], [4, 5]])
  let isIdle = false
  const idle = batcher.idle().then(() => {
    isIdle = true
  })
  sends[2]!.end()
  expect(await Promise.all(added.slice(3))).toEqual([4, 5])
  await new Promise(setImmediate)
  expect(isIdle).toBe(false)
  sends[0]!.end()
  await idle
  expect(await Promise.all(added)).toEqual([1, 2, 3, 4, 5])
})
