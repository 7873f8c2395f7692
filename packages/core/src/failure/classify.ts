import { OpsLedgerError } from '../errors.ts'
import { findHttpStatus, httpStatusReason } from './http-status.ts'
import { isAbortName, messageFact, mistakeName, nameFact } from './named-error.ts'
import { nodeErrorReason } from './node-error.ts'
import { isError, namesOf, read, readText } from './read.ts'
import { isReasonCode, type LibraryReasonCode, REASON_CODES, type ReasonCode } from './reason-code.ts'
import { isSqlstate, sqlstateReason } from './sqlstate.ts'

/** What an `OperationError` states for itself, also one of another copy of this library. */
export interface Stated {
  readonly reasonCode: ReasonCode
  readonly permanent: boolean
}

export function statedBy(value: unknown): Stated | undefined {
  if (!isError(value) || read(value, 'code') !== 'operation_error') return undefined
  const reasonCode = read(value, 'reasonCode')
  return isReasonCode(reasonCode) ? { reasonCode, permanent: read(value, 'permanent') === true } : undefined
}

/**
 * The code for a chain no `OperationError` is part of. The outermost link that carries a fact decides; without one
 * the outermost abort, then the outermost mistake such as a `TypeError` (which `fetch` throws for a broken network,
 * with the facts in its cause).
 */
export function classify(chain: readonly unknown[]): LibraryReasonCode {
  return (
    firstCode(chain, factOf) ??
    firstCode(chain, abortOf) ??
    firstCode(chain, (link) => mistakeName(namesOf(link)) ?? codeOf(link)) ??
    (isError(chain[0]) ? 'unknown.error' : 'unknown.thrown')
  )
}

/** The SQLSTATE a database error carries; undefined for errors of Node that only have the same form. */
export function sqlstateOf(value: unknown): string | undefined {
  const code = read(value, 'code')
  if (!isSqlstate(code)) return undefined
  if (typeof read(value, 'severity') === 'string') return code
  return nodeErrorReason(code) === undefined ? code : undefined
}

/** Codes that say where something was noticed rather than what went wrong. */
const VAGUE = new Set<LibraryReasonCode>(['abort.signal', 'runtime.invalid_argument', 'runtime.node_error'])

function factOf(link: unknown): LibraryReasonCode | undefined {
  const ownCode = libraryCode(link)
  if (ownCode !== undefined) return ownCode
  const named = nameFact(namesOf(link))
  if (named === 'provider.throttled') return named
  const status = findHttpStatus(link)
  if (status !== undefined) return httpStatusReason(status)
  const sqlstate = sqlstateOf(link)
  if (sqlstate !== undefined) return sqlstateReason(sqlstate)
  const byCode = codeOf(link)
  if (byCode !== undefined && !VAGUE.has(byCode)) return byCode
  return named ?? messageFact(readText(link, 'message'))
}

function abortOf(link: unknown): LibraryReasonCode | undefined {
  return isAbortName(namesOf(link)) || codeOf(link) === 'abort.signal' ? 'abort.signal' : undefined
}

/** `ECONNABORTED` is also what axios calls a timeout of its own. */
function codeOf(link: unknown): LibraryReasonCode | undefined {
  const code = readText(link, 'code')
  if (code === 'ECONNABORTED' && readText(link, 'message').startsWith('timeout')) return 'network.timeout'
  return nodeErrorReason(code, readText(link, 'syscall'))
}

/** This library's own errors carry their reason in their code: `claim_lost` is `claim.lost`. */
function libraryCode(link: unknown): LibraryReasonCode | undefined {
  if (!isError(link) || !(link instanceof OpsLedgerError)) return undefined
  const code = readText(link, 'code')
  if (code === 'invalid_option') return 'runtime.invalid_option'
  if (code === 'ledger_closed') return 'worker.shutdown'
  if (code === 'impossible_count') return 'runtime.out_of_range'
  const reasonCode = code.replace('_', '.')
  return Object.hasOwn(REASON_CODES, reasonCode) ? (reasonCode as LibraryReasonCode) : undefined
}

function firstCode(
  chain: readonly unknown[],
  codeOf: (link: unknown) => LibraryReasonCode | undefined,
): LibraryReasonCode | undefined {
  for (const link of chain) {
    const code = codeOf(link)
    if (code !== undefined) return code
  }
  return undefined
}
