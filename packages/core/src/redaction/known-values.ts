import { encodedForms, type SecretForm } from './encoded-forms.ts'
import { toVisible } from './invisible-characters.ts'
import type { Mark } from './spans.ts'

/**
 * Shorter values are not looked for: `test`, `root` or `12345` stand in ordinary text everywhere, and blanking them
 * there would both spoil the text and give the value away.
 */
const MIN_SECRET_LENGTH = 6

const BASE64_CHARACTER = /[A-Za-z0-9+/_=-]/

/** Node 0 is the root; a node is the longest beginning of any form that ends at the current character. */
interface Automaton {
  readonly next: Map<number, number>
  readonly fallback: number[]
  readonly depth: number[]
  /** Length and margin of the longest form that ends in this node; 0 for none. */
  readonly found: number[]
  readonly margin: number[]
}

/**
 * Values known to be secret, searched for in all their forms at once in one pass over the text (Aho and Corasick),
 * whatever their number. The automaton is built again at the first search after a value was added.
 */
export class KnownValues {
  readonly #formsOf: (secret: string) => SecretForm[]
  readonly #forms = new Map<string, number>()
  #automaton: Automaton | undefined

  constructor(formsOf: (secret: string) => SecretForm[] = encodedForms) {
    this.#formsOf = formsOf
  }

  /** False when the value is too short to be looked for, see {@link MIN_SECRET_LENGTH}. */
  add(secret: string): boolean {
    if (toVisible(secret).trim().length < MIN_SECRET_LENGTH) return false
    for (const { text, margin } of this.#formsOf(secret)) {
      if (text.length >= MIN_SECRET_LENGTH) this.#forms.set(text, margin)
    }
    this.#automaton = undefined
    return true
  }

  /** Marks every form found. Returns how many characters at the end of the text are the beginning of a form. */
  find(text: string, mark: Mark): number {
    if (this.#forms.size === 0) return 0
    this.#automaton ??= build(this.#forms)
    const { next, fallback, depth, found, margin } = this.#automaton
    let node = 0
    for (let i = 0; i < text.length; i++) {
      node = step(next, fallback, node, text.charCodeAt(i))
      if (found[node] === 0) continue
      const from = i + 1 - found[node]!
      const isWide = margin[node] === 1
      mark(
        isWide && from > 0 && BASE64_CHARACTER.test(text[from - 1]!) ? from - 1 : from,
        isWide && i + 1 < text.length && BASE64_CHARACTER.test(text[i + 1]!) ? i + 2 : i + 1,
      )
    }
    return depth[node]!
  }
}

function step(next: Map<number, number>, fallback: number[], from: number, unit: number): number {
  for (let node = from; ; node = fallback[node]!) {
    const child = next.get(node * 0x10000 + unit)
    if (child !== undefined) return child
    if (node === 0) return 0
  }
}

function build(forms: Map<string, number>): Automaton {
  const next = new Map<number, number>()
  const parent = [0]
  const unit = [0]
  const fallback = [0]
  const depth = [0]
  const found = [0]
  const margin = [0]
  for (const [text, width] of forms) {
    let node = 0
    for (let i = 0; i < text.length; i++) {
      const key = node * 0x10000 + text.charCodeAt(i)
      let child = next.get(key)
      if (child === undefined) {
        child = depth.length
        next.set(key, child)
        parent.push(node)
        unit.push(text.charCodeAt(i))
        fallback.push(0)
        depth.push(i + 1)
        found.push(0)
        margin.push(0)
      }
      node = child
    }
    found[node] = text.length
    margin[node] = width
  }
  const byDepth = Array.from(depth.keys()).sort((a, b) => depth[a]! - depth[b]!)
  for (const node of byDepth) {
    if (depth[node]! < 2) continue
    const shorter = step(next, fallback, fallback[parent[node]!]!, unit[node]!)
    fallback[node] = shorter
    if (found[node] !== 0) continue
    found[node] = found[shorter]!
    margin[node] = margin[shorter]!
  }
  return { next, fallback, depth, found, margin }
}
