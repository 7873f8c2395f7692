import type { LibraryReasonCode } from './reason-code.ts'

/** Codes that mean something else, or something finer, than their class. PostgreSQL 18, appendix A. */
const EXCEPTIONS: Readonly<Record<string, LibraryReasonCode>> = {
  '23502': 'database.not_null_violation',
  '23503': 'database.foreign_key_violation',
  '23505': 'database.unique_violation',
  '23514': 'database.check_violation',
  '25006': 'database.read_only',
  '25P03': 'database.session_timeout',
  '25P04': 'database.session_timeout',
  '40001': 'database.serialization_failure',
  '40P01': 'database.deadlock',
  '42501': 'database.permission_denied',
  '42704': 'database.undefined_object',
  '42703': 'database.undefined_object',
  '42883': 'database.undefined_object',
  '42P01': 'database.undefined_object',
  '53100': 'database.disk_full',
  '53200': 'database.out_of_memory',
  '53300': 'database.too_many_connections',
  '55P03': 'database.lock_unavailable',
  '57014': 'database.query_cancelled',
  '57P01': 'database.shutdown',
  '57P02': 'database.shutdown',
  '57P03': 'database.starting',
  '57P05': 'database.session_timeout',
}

const CLASSES: Readonly<Record<string, LibraryReasonCode>> = {
  '08': 'database.connection_failed',
  '0A': 'database.feature_unsupported',
  '0B': 'database.transaction_state',
  '0L': 'database.permission_denied',
  '0P': 'database.permission_denied',
  '21': 'database.invalid_data',
  '22': 'database.invalid_data',
  '23': 'database.constraint_violation',
  '24': 'database.invalid_statement',
  '25': 'database.transaction_state',
  '26': 'database.invalid_statement',
  '27': 'database.constraint_violation',
  '28': 'database.authentication_failed',
  '2B': 'database.permission_denied',
  '2D': 'database.transaction_state',
  '34': 'database.invalid_statement',
  '3B': 'database.transaction_state',
  '3D': 'database.undefined_object',
  '3F': 'database.undefined_object',
  '40': 'database.transaction_rolled_back',
  '42': 'database.invalid_statement',
  '44': 'database.check_violation',
  '53': 'database.insufficient_resources',
  '54': 'database.limit_exceeded',
  '55': 'database.object_not_ready',
  '57': 'database.operator_intervention',
  '58': 'database.system_error',
  '72': 'database.system_error',
  F0: 'database.internal_error',
  HV: 'database.foreign_data_error',
  P0: 'database.raised',
  XX: 'database.internal_error',
}

/** Five digits and capitals. `EPIPE` and `EPERM` have that form too: ask for Node's codes first. */
export function isSqlstate(code: unknown): code is string {
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)
}

/** Total: a SQLSTATE of a class that is not listed is a plain `database.error`. */
export function sqlstateReason(sqlstate: string): LibraryReasonCode {
  return own(EXCEPTIONS, sqlstate) ?? own(CLASSES, sqlstate.slice(0, 2)) ?? 'database.error'
}

function own(table: Readonly<Record<string, LibraryReasonCode>>, key: string): LibraryReasonCode | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined
}
