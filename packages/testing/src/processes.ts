import { type ChildProcess, fork, type Serializable } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Mailbox } from './mailbox.ts'

/** A process that imports a few packages from source starts in well under a second, on a busy machine in a few. */
const DEFAULT_MESSAGE_WITHIN_MS = 15_000
/** The end of the child's stderr that an error quotes, in characters. */
const STDERR_TAIL = 4_000

export interface ProcessExit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface WorkerOptions {
  args?: readonly string[]
  /** Added to this process's environment; `undefined` removes a variable. */
  env?: Record<string, string | undefined>
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/**
 * A real process that runs a TypeScript file from source and talks over an IPC channel: `process.send!(…)`
 * there is a message here. It ends with its parent, however that one dies. In Vitest take `startWorker` of
 * `@opsledger/testing/vitest`, which also ends it with the test.
 */
export class WorkerProcess implements AsyncDisposable {
  readonly pid: number
  /** Settles when the process is gone and its output has been read. */
  readonly exited: Promise<ProcessExit>
  readonly #child: ChildProcess
  readonly #mailbox = new Mailbox()
  #stderr = ''
  #exit: ProcessExit | null = null

  constructor(file: URL, options: WorkerOptions = {}) {
    const preload = new URL('./end-with-parent.ts', import.meta.url).href
    const { NODE_OPTIONS: _, NODE_V8_COVERAGE: __, ...inherited } = process.env
    this.#child = fork(fileURLToPath(file), options.args ?? [], {
      execArgv: ['--conditions=opsledger-source', `--import=${preload}`],
      env: { ...inherited, ...options.env },
      stdio: ['pipe', 'ignore', 'pipe', 'ipc'],
      serialization: 'advanced',
    })
    running.add(this.#child)
    this.pid = this.#child.pid!
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_TAIL)
    })
    this.#child.on('message', (message) => this.#mailbox.put(message))
    this.#child.on('error', (error) => {
      this.#stderr += String(error)
    })
    this.exited = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        running.delete(this.#child)
        this.#exit = { code, signal }
        this.#mailbox.close()
        resolve(this.#exit)
      })
    })
  }

  /** What the process wrote to stderr, at most its last 4,000 characters. */
  get stderr(): string {
    return this.#stderr
  }

  send(message: Serializable): void {
    this.#child.send(message, () => {})
  }

  /** Takes the first unread message that fits, or waits for it. Others stay unread, in their order. */
  async next<T = unknown>(
    predicate: (message: T) => boolean = () => true,
    { withinMs = DEFAULT_MESSAGE_WITHIN_MS }: { withinMs?: number } = {},
  ): Promise<T> {
    const taken = await this.#mailbox.take((message) => predicate(message as T), withinMs)
    if (taken === 'late') throw this.#error(`sent no such message within ${withinMs} ms`)
    if (taken === 'closed') {
      throw this.#error(
        `ended (${this.#exit?.signal ?? `code ${this.#exit?.code}`}) without the awaited message`,
      )
    }
    return taken.message as T
  }

  /** Every unread message in order, until the process is gone. */
  async *messages<T = unknown>(): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const taken = await this.#mailbox.take(() => true)
      if (typeof taken === 'string') return
      yield taken.message as T
    }
  }

  /** Sends the signal (default SIGKILL: no handler runs) and waits until the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<ProcessExit> {
    this.#child.kill(signal)
    return this.exited
  }

  /** SIGSTOP: the process freezes, its connections stay open. */
  stop(): void {
    this.#child.kill('SIGSTOP')
  }

  /** SIGCONT: it goes on where it was. */
  cont(): void {
    this.#child.kill('SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  #error(what: string): Error {
    const unread = JSON.stringify(this.#mailbox.unread).slice(0, 1_000)
    return new Error(
      `The worker process ${this.pid} ${what}. Unread messages: ${unread}. Its stderr:\n${this.#stderr || '(empty)'}`,
    )
  }
}

export const startWorker = (file: URL, options?: WorkerOptions): WorkerProcess =>
  new WorkerProcess(file, options)
