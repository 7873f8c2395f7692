/** Messages in the order they came, until somebody takes them; ends when the sender is gone. */
export class Mailbox {
  readonly #unread: unknown[] = []
  readonly #waiting = new Set<() => void>()
  #isClosed = false

  get unread(): readonly unknown[] {
    return this.#unread
  }

  put(message: unknown): void {
    this.#unread.push(message)
    this.#wake()
  }

  close(): void {
    this.#isClosed = true
    this.#wake()
  }

  /** The first unread message that fits, or why there is none; without `withinMs` it waits for the end. */
  async take(
    predicate: (message: unknown) => boolean,
    withinMs?: number,
  ): Promise<{ message: unknown } | 'closed' | 'late'> {
    const deadline = withinMs === undefined ? null : Date.now() + withinMs
    for (;;) {
      const index = this.#unread.findIndex(predicate)
      if (index >= 0) return { message: this.#unread.splice(index, 1)[0] }
      if (this.#isClosed) return 'closed'
      if (!(await this.#change(deadline))) return 'late'
    }
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  /** False when the deadline came first. */
  #change(deadline: number | null): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (hasChanged: boolean) => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        resolve(hasChanged)
      }
      const wake = () => settle(true)
      const timer =
        deadline === null ? undefined : setTimeout(settle, Math.max(0, deadline - Date.now()), false)
      this.#waiting.add(wake)
    })
  }
}
