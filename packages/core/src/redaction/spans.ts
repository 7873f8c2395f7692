/** Says that the text from `from` up to, not including, `to` is secret. */
export type Mark = (from: number, to: number) => void

/**
 * The union of spans over a text of known length. Adding is constant and reading is linear, however many spans there
 * are and however they overlap; spans that touch are one.
 */
export class SpanCover {
  readonly #changes: Int32Array

  constructor(length: number) {
    this.#changes = new Int32Array(length + 1)
  }

  add(from: number, to: number): void {
    if (to <= from) return
    this.#changes[from]!++
    this.#changes[to]!--
  }

  /** For each position of the text 1 when it lies in a span, else 0. */
  toMask(): Uint8Array {
    const mask = new Uint8Array(this.#changes.length - 1)
    let open = 0
    for (let i = 0; i < mask.length; i++) {
      open += this.#changes[i]!
      mask[i] = open > 0 ? 1 : 0
    }
    return mask
  }
}
