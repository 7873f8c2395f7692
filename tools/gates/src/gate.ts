/** What must hold before a change lands. */
export interface Gate {
  readonly name: string
  readonly about: string
  /** Answers with what passed, in words. @throws GateError, or whatever went wrong */
  run(): Promise<string>
}

/** A gate that ran to its end and did not pass; the message says in a line what did not. */
export class GateError extends Error {
  readonly code = 'gate_failed'
}
