/**
 * The random source of one cell. It depends on the seed value, the table, the column and the row's index
 * only, so another count, column or order of tables changes no value that was there before. Valid while the
 * cell is made.
 */
export interface Random {
  /** 32 random bits as an unsigned integer. */
  uint32(): number
  /** At least 0 and less than 1, in steps of 2^-32. */
  float(): number
  /** Both ends included; at most 2^32 values. */
  integer(min: number, max: number): number
  /** Each as likely; there must be at least one. */
  pick<const T>(values: readonly T[]): T
  /** True with this probability, 0 to 1. */
  chance(probability: number): boolean
}

/** The four words from which every cell of one column starts. */
export type ColumnSeed = readonly [number, number, number, number]

const MASK_64 = (1n << 64n) - 1n

/**
 * SplitMix64 (Vigna, https://prng.di.unimi.it/splitmix64.c): what the authors of xoshiro fill its state with.
 */
export function splitMix64(seed: bigint): () => bigint {
  let x = seed & MASK_64
  return () => {
    x = (x + 0x9e3779b97f4a7c15n) & MASK_64
    let z = x
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK_64
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK_64
    return z ^ (z >> 31n)
  }
}

export function columnSeed(seed: number, name: string): ColumnSeed {
  const next = splitMix64(splitMix64(BigInt(seed))() ^ fnv1a64(name))
  const [high, low] = [next(), next()]
  const word = (bits: bigint) => Number(bits & 0xffffffffn)
  return [word(high >> 32n), word(high), word(low >> 32n), word(low)]
}

/** xoshiro128** 1.1 (Blackman and Vigna, https://prng.di.unimi.it/xoshiro128starstar.c). */
export class Xoshiro128 {
  #a = 1
  #b = 0
  #c = 0
  #d = 0

  setState(a: number, b: number, c: number, d: number): void {
    // The one state it cannot leave.
    this.#a = (a | b | c | d) === 0 ? 1 : a
    this.#b = b
    this.#c = c
    this.#d = d
  }

  next(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0
    const t = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= t
    this.#d = rotateLeft(this.#d, 11)
    return result
  }
}

/**
 * The random source of each cell of a column; the object is the same each time. Each word of a cell's state
 * is a bijection of the row's index, so two rows of a column never share a state, and a UUID takes all of it.
 */
export function cellRandoms(seed: ColumnSeed): (index: number) => Random {
  const engine = new Xoshiro128()
  const uint32 = (): number => engine.next()
  const float = (): number => uint32() / 2 ** 32
  const random: Random = {
    uint32,
    float,
    integer: (min, max) => min + Math.floor(float() * (max - min + 1)),
    pick: (values) => values[Math.floor(float() * values.length)]!,
    chance: (probability) => float() < probability,
  }
  return (index) => {
    const step = Math.imul(index, 0x9e3779b9)
    engine.setState(
      fmix32(seed[0] + step),
      fmix32(seed[1] + step),
      fmix32(seed[2] + step),
      fmix32(seed[3] + step),
    )
    return random
  }
}

const rotateLeft = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits))

/** The finalizer of MurmurHash3 (Appleby, https://github.com/aappleby/smhasher): a bijection of 32 bits. */
function fmix32(word: number): number {
  let h = word | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): tells the columns apart. */
function fnv1a64(text: string): bigint {
  let hash = 0xcbf29ce484222325n
  for (const byte of new TextEncoder().encode(text)) {
    hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & MASK_64
  }
  return hash
}
