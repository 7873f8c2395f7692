import type { RestartMode } from './server.ts'

export type GuardianRequest =
  | { kind: 'start'; major: number; settings: Record<string, string> }
  | { kind: 'restart'; mode: RestartMode }

export type GuardianReply =
  | { ok: true; port: number; password: string; folder: string; pid: number }
  | { ok: false; message: string }
