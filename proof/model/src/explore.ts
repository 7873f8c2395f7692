/** Visits every reachable state once, breadth first, and says whether progress stays possible from each of them. */
import { type Invariant, type Mode, Violation } from './rules.ts'
import { initialState, STATE_SIZE, type State, swapWorkers } from './state.ts'
import { createSteps, isAtRest, isExcludedOverlap, type Kind, type System } from './steps.ts'

export interface Failure {
  readonly invariant: Invariant
  readonly message: string
  /** What happened, shortest first way to it. */
  readonly trace: readonly string[]
}

export interface Report {
  readonly mode: Mode
  readonly faults: number
  readonly states: number
  readonly transitions: number
  readonly depth: number
  readonly excludedOverlaps: number
  readonly durationMs: number
  readonly failure: Failure | null
  /** False when the bound was reached: what lies beyond was not looked at, nor whether all come to rest. */
  readonly isComplete: boolean
}

export interface ExploreOptions {
  /** An end to memory, not a part of the check. @default 12 million */
  readonly maxStates?: number
  /** Off for mutants that are to be caught by a state. */
  readonly checksProgress?: boolean
}

const DEFAULT_MAX_STATES = 12_000_000
const WORDS = STATE_SIZE / 4

class Store {
  private bytes = new Uint8Array(STATE_SIZE * 65_536)
  private words = new Int32Array(this.bytes.buffer)
  private readonly probe: State = new Uint8Array(STATE_SIZE)
  private readonly probeWords = new Int32Array(this.probe.buffer)
  parents = new Int32Array(65_536)
  count = 0
  private table = new Int32Array(262_144).fill(-1)

  at(index: number): State {
    return this.bytes.subarray(index * STATE_SIZE, (index + 1) * STATE_SIZE)
  }

  /** The index of the state; negative (and not zero: `~index`) when it is new. */
  add(s: State, parent: number): number {
    this.probe.set(s)
    const mask = this.table.length - 1
    let slot = hash(this.probeWords, 0) & mask
    for (let index = this.table[slot]!; index !== -1; index = this.table[slot]!) {
      if (this.equals(index)) return index
      slot = (slot + 1) & mask
    }
    const index = this.count++
    if (index >= this.parents.length) this.grow()
    this.bytes.set(s, index * STATE_SIZE)
    this.parents[index] = parent
    this.table[slot] = index
    if (this.count * 2 > this.table.length) this.rehash()
    return ~index
  }

  private equals(index: number): boolean {
    const { words, probeWords } = this
    for (let i = 0, from = index * WORDS; i < WORDS; i++) if (words[from + i] !== probeWords[i]) return false
    return true
  }

  private grow(): void {
    const bytes = new Uint8Array(this.bytes.length * 2)
    bytes.set(this.bytes)
    this.bytes = bytes
    this.words = new Int32Array(bytes.buffer)
    const parents = new Int32Array(this.parents.length * 2)
    parents.set(this.parents)
    this.parents = parents
  }

  private rehash(): void {
    this.table = new Int32Array(this.table.length * 4).fill(-1)
    const mask = this.table.length - 1
    for (let index = 0; index < this.count; index++) {
      let slot = hash(this.words, index * WORDS) & mask
      while (this.table[slot] !== -1) slot = (slot + 1) & mask
      this.table[slot] = index
    }
  }
}

function hash(words: Int32Array, from: number): number {
  let h = 0x811c9dc5
  for (let i = from; i < from + WORDS; i++) {
    h = Math.imul(h ^ words[i]!, 0x9e3779b1)
    h ^= h >>> 15
  }
  h = Math.imul(h, 0x2c1b3c6d)
  return (h ^ (h >>> 13)) >>> 0
}

/** Edges that progress may rely on, by the state they leave; states are visited in order, so a row ends where the next begins. */
class Edges {
  targets = new Int32Array(262_144)
  starts = new Int32Array(65_536)
  count = 0

  begin(index: number): void {
    if (index + 1 >= this.starts.length) {
      const starts = new Int32Array(this.starts.length * 2)
      starts.set(this.starts)
      this.starts = starts
    }
    this.starts[index] = this.count
    this.starts[index + 1] = this.count
  }

  add(target: number): void {
    if (this.count >= this.targets.length) {
      const targets = new Int32Array(this.targets.length * 2)
      targets.set(this.targets)
      this.targets = targets
    }
    this.targets[this.count++] = target
  }
}

export function explore(system: System, options: ExploreOptions = {}): Report {
  const { maxStates = DEFAULT_MAX_STATES, checksProgress = true } = options
  const startedAt = performance.now()
  const isSymmetric = system.mode !== 'mixed'
  const swapped: State = new Uint8Array(STATE_SIZE)
  const store = new Store()
  const edges = new Edges()
  const forEachStep = createSteps(system)
  let transitions = 0
  let depth = 0
  let excludedOverlaps = 0
  let failure: Failure | null = null
  let isComplete = true

  /** Of the two names a state has, the lower one. */
  const canonical = (s: State): State => {
    if (!isSymmetric) return s
    swapWorkers(s, swapped)
    for (let i = 0; i < STATE_SIZE; i++) {
      if (swapped[i]! !== s[i]!) return swapped[i]! < s[i]! ? swapped : s
    }
    return s
  }

  const first = initialState(system.faults, system.deliveries)
  store.add(canonical(first), -1)
  const current: State = new Uint8Array(STATE_SIZE)
  let levelEnd = 1

  let index = 0
  const visit = (next: State, kind: Kind) => {
    transitions++
    const added = store.add(canonical(next), index)
    if (checksProgress && kind === 'step') edges.add(added < 0 ? ~added : added)
    if (added < 0 && isExcludedOverlap(next)) excludedOverlaps++
  }
  try {
    for (; index < store.count; index++) {
      if (index === levelEnd) {
        depth++
        levelEnd = store.count
      }
      if (store.count > maxStates) {
        isComplete = false
        break
      }
      current.set(store.at(index))
      if (checksProgress) edges.begin(index)
      forEachStep(current, visit)
      if (checksProgress) edges.starts[index + 1] = edges.count
    }
    if (checksProgress && isComplete) {
      const stuck = findStuck(store, edges)
      if (stuck !== null) {
        failure = {
          invariant: 'liveness',
          message: 'from here the work never comes to rest, although nothing fails any more',
          trace: traceTo(system, store, canonical, stuck),
        }
      }
    }
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    const trace = traceTo(system, store, canonical, index)
    failure = {
      invariant: error.invariant,
      message: error.message,
      trace: [...trace, `then: ${error.message}`],
    }
  }
  return {
    mode: system.mode,
    faults: system.faults,
    states: store.count,
    transitions,
    depth,
    excludedOverlaps,
    durationMs: performance.now() - startedAt,
    failure,
    isComplete,
  }
}

/** The first state from which no state at rest can be reached: backwards along the edges, from those at rest. */
function findStuck(store: Store, edges: Edges): number | null {
  const { count } = store
  // The edges by their target: where each target's sources begin, and the sources.
  const starts = new Int32Array(count + 1)
  for (let edge = 0; edge < edges.count; edge++) starts[edges.targets[edge]! + 1]!++
  for (let index = 0; index < count; index++) starts[index + 1]! += starts[index]!
  const sources = new Int32Array(edges.count)
  const filled = starts.slice(0, count)
  for (let index = 0; index < count; index++) {
    for (let edge = edges.starts[index]!; edge < edges.starts[index + 1]!; edge++) {
      sources[filled[edges.targets[edge]!]!++] = index
    }
  }
  const isGood = new Uint8Array(count)
  const queue = new Int32Array(count)
  let queued = 0
  for (let index = 0; index < count; index++) {
    if (!isAtRest(store.at(index))) continue
    isGood[index] = 1
    queue[queued++] = index
  }
  for (let next = 0; next < queued; next++) {
    const target = queue[next]!
    for (let at = starts[target]!; at < starts[target + 1]!; at++) {
      const source = sources[at]!
      if (isGood[source] === 1) continue
      isGood[source] = 1
      queue[queued++] = source
    }
  }
  const stuck = isGood.indexOf(0)
  return stuck === -1 ? null : stuck
}

/** Replays the way to a state, with the workers' names kept as they were at the beginning. */
function traceTo(system: System, store: Store, canonical: (s: State) => State, target: number): string[] {
  const way: number[] = []
  for (let index = target; index !== -1; index = store.parents[index]!) way.unshift(index)
  const forEachStep = createSteps(system)
  let concrete = initialState(system.faults, system.deliveries)
  const trace: string[] = []
  for (const index of way.slice(1)) {
    const wanted = store.at(index)
    let found: { next: State; text: string } | null = null
    forEachStep(concrete, (next, kind, step, worker, delivery) => {
      if (found !== null || !sameBytes(canonical(next), wanted)) return
      const subject = worker < 0 ? '' : `worker ${worker + 1} `
      const object = delivery < 0 ? '' : ` (delivery d${delivery + 1})`
      found = { next: next.slice(), text: `${kind === 'fault' ? 'FAULT ' : ''}${subject}${step}${object}` }
    })
    const { next, text } = found!
    concrete = next
    trace.push(text)
  }
  return trace
}

function sameBytes(a: State, b: State): boolean {
  for (let i = 0; i < STATE_SIZE; i++) if (a[i] !== b[i]) return false
  return true
}
