/** `immediate` is what a crash looks like (recovery at start), `fast` a clean stop that ends all sessions. */
export type RestartMode = 'immediate' | 'fast'

export type ServerKind = 'url' | 'docker' | 'embedded'

/** A Postgres server for a demo or a test run. */
export interface Server extends AsyncDisposable {
  /** Administration URL: its role may create databases, and on servers started here everything else too. */
  readonly url: string
  readonly kind: ServerKind
  /** As the server says it, without the packager's suffix: `18.4`. */
  readonly version: string
  /** One line without a password: which server, and why this one. */
  describe(): string
  /** Ends a server started here and removes its files; leaves a server given by URL alone. */
  stop(): Promise<void>
  /** Same port, same data. Only where the server is ours alone, so only for embedded ones. */
  restart?(mode: RestartMode): Promise<void>
}

/** Enough of a server to make databases on it; `runId` says which run owns them (default: this process). */
export interface DatabaseHost {
  url: string
  runId?: string
}
