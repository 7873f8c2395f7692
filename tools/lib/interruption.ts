const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/** Somebody ends the run: the reason of the signal that all of its parts listen to. */
export class InterruptedError extends Error {
  readonly exitCode: number

  constructor(signal: keyof typeof EXIT_CODES) {
    super(`Interrupted by ${signal}`)
    this.exitCode = EXIT_CODES[signal]
  }
}

/**
 * What a command that was interrupted ends with, whatever it met on its way out; null when it was not interrupted.
 */
export function interruptedExitCode(interrupted: AbortSignal): number | null {
  return interrupted.aborted ? (interrupted.reason as InterruptedError).exitCode : null
}

/** Aborts at the first SIGINT, SIGTERM or SIGHUP, so that what was made is taken away; a second one ends the process. */
export function listenForInterruption(): AbortSignal {
  const controller = new AbortController()
  for (const signal of Object.keys(EXIT_CODES) as (keyof typeof EXIT_CODES)[]) {
    process.on(signal, () => {
      const error = new InterruptedError(signal)
      if (controller.signal.aborted) process.exit(error.exitCode)
      // Whatever ends the process from here on, it is not done.
      process.exitCode = error.exitCode
      console.error(`${signal}: databases, folders and processes are taken away; once more leaves them`)
      // What is under way breaks off in many places at once.
      process.on('unhandledRejection', () => {})
      process.on('uncaughtException', () => {})
      controller.abort(error)
    })
  }
  return controller.signal
}
