import { InvalidOptionError } from '../errors.ts'

/**
 * The closed set of codes this library writes, with one sentence of meaning each. A code is never renamed and its
 * meaning never narrowed, so alerts may match on it; the set may grow. `docs/reason-codes.md` shows the same table.
 */
export const REASON_CODES = Object.freeze({
  'worker.lost':
    'The worker that executed the attempt is gone; a sweep closed the run, or another worker took it over.',
  'worker.shutdown': 'The worker was shutting down and stopped the handler.',
  'delivery.lost': 'No delivery came for a waiting run within the limit of its type.',
  'claim.lost': 'The claim of the attempt was taken over or given up, so its writes are refused.',

  'run.overlap': 'Skipped, because the same work was already executing.',
  'run.not_canonical': 'Skipped, because another run stands for the same work.',
  'run.cancelled': 'The run was cancelled before it ended by itself.',
  'items.other': 'Items failed for more different reasons than a run keeps; this counts the rest.',
  'items.all_failed': 'The handler returned, but every item it processed had failed.',

  'abort.signal': 'The work stopped because its abort signal fired.',
  'abort.timeout': 'The work stopped because a time limit set in the process ran out.',

  'provider.throttled': 'The provider asked for fewer requests (HTTP 429 and its kin).',
  'provider.unauthorized': 'The provider did not accept the credentials (HTTP 401, 407).',
  'provider.payment_required': 'The provider asks for payment or a larger plan (HTTP 402).',
  'provider.forbidden': 'The provider knows the caller and refuses the request (HTTP 403, 451).',
  'provider.not_found': 'The provider does not know the resource (HTTP 404).',
  'provider.gone': 'The provider had the resource once and has it no more (HTTP 410).',
  'provider.conflict': 'The resource was in another state than the request expected (HTTP 409, 412, 423).',
  'provider.too_large': 'The request was larger than the provider accepts (HTTP 413, 414, 431).',
  'provider.rejected': 'The provider found the request wrong (any other HTTP 4xx).',
  'provider.redirected': 'The provider answered with a redirect that was not followed (HTTP 3xx).',
  'provider.unavailable': 'The provider or its gateway was not available (HTTP 502, 503, 520 to 523, 529).',
  'provider.timeout': 'The provider or its gateway ran out of time (HTTP 408, 504, 524).',
  'provider.invalid_response': 'The provider answered with something that could not be read.',
  'provider.error': 'The provider failed by its own account (HTTP 500 and any other 5xx).',

  'network.refused': 'The other side refused the connection.',
  'network.reset': 'The connection broke while it was in use.',
  'network.timeout': 'The connection or its answer took too long.',
  'network.dns': 'The host name could not be resolved.',
  'network.tls': 'The TLS handshake or the certificate failed.',
  'network.unreachable': 'There was no route to the host.',
  'network.address_in_use': 'The local address is already taken.',
  'network.protocol': 'The other side did not speak the expected protocol.',
  'network.error': 'The network failed in a way that has no finer code.',

  'database.connection_failed': 'The connection to the database failed or was lost (SQLSTATE class 08).',
  'database.connect_timeout': 'No database connection could be had in time.',
  'database.shutdown': 'The server ended the session or is going down (57P01, 57P02).',
  'database.starting': 'The server does not accept sessions yet (57P03).',
  'database.session_timeout': 'The server ended an idle session or transaction (25P03, 25P04, 57P05).',
  'database.query_cancelled': 'The statement was cancelled, by a time limit or by a person (57014).',
  'database.operator_intervention': 'Someone intervened at the server (other class 57).',
  'database.serialization_failure': 'The transaction could not be serialized and may be tried again (40001).',
  'database.deadlock': 'The transaction was the victim of a deadlock and may be tried again (40P01).',
  'database.transaction_rolled_back': 'The server rolled the transaction back (other class 40).',
  'database.transaction_state': 'The transaction was in a wrong state (classes 0B, 25, 2D, 3B).',
  'database.read_only': 'A write met a read-only transaction or a standby (25006).',
  'database.lock_unavailable': 'A lock could not be had in time (55P03).',
  'database.object_not_ready': 'An object was in use or not in the needed state (other class 55).',
  'database.unique_violation': 'A unique constraint was violated (23505).',
  'database.foreign_key_violation': 'A foreign key was violated (23503).',
  'database.not_null_violation': 'A required column was null (23502).',
  'database.check_violation': 'A check constraint or a view’s check option was violated (23514, class 44).',
  'database.constraint_violation': 'Another integrity constraint was violated (other class 23, class 27).',
  'database.invalid_data': 'A value did not fit its type or its place (classes 21, 22).',
  'database.authentication_failed': 'The database did not accept the login (class 28).',
  'database.permission_denied': 'The role lacks a privilege (42501, classes 0L, 0P, 2B).',
  'database.undefined_object':
    'A table, column, function or schema does not exist (42P01 and its kin, 3D, 3F).',
  'database.invalid_statement': 'The statement is wrong (other class 42, and classes 24, 26, 34).',
  'database.feature_unsupported': 'The server does not support what was asked (class 0A).',
  'database.disk_full': 'The server’s disk is full (53100).',
  'database.out_of_memory': 'The server ran out of memory or lock slots (53200).',
  'database.too_many_connections': 'The server has no free connection (53300).',
  'database.insufficient_resources': 'The server lacks another resource (other class 53).',
  'database.limit_exceeded': 'A limit of the server was exceeded (class 54).',
  'database.system_error': 'The server met an input/output or snapshot error (classes 58, 72).',
  'database.foreign_data_error': 'A foreign data wrapper failed (class HV).',
  'database.raised': 'A function raised an exception of its own (class P0).',
  'database.no_result': 'A query that had to find a row found none.',
  'database.internal_error': 'The server met an internal error (class XX, F0).',
  'database.error': 'The database failed in a way that has no finer code.',

  'runtime.type_error': 'The program used a value in a way its type does not allow.',
  'runtime.reference_error': 'The program used a name that does not exist.',
  'runtime.syntax_error': 'Text could not be parsed, for instance JSON.',
  'runtime.out_of_range': 'A value was outside of the range that is allowed.',
  'runtime.stack_overflow': 'The program called itself too deeply.',
  'runtime.invalid_uri': 'A text could not be encoded or decoded as a URI.',
  'runtime.invalid_argument': 'A function was given an argument it cannot use.',
  'runtime.invalid_option': 'An option or argument given to this library cannot be used.',
  'runtime.assertion': 'An assertion failed.',
  'runtime.module_not_found': 'A module could not be found or loaded.',
  'runtime.file_not_found': 'A file or directory does not exist.',
  'runtime.file_exists': 'A file or directory exists already.',
  'runtime.permission_denied': 'The operating system denied access.',
  'runtime.disk_full': 'The worker’s disk or quota is full.',
  'runtime.too_many_files': 'The process or the system has too many open files.',
  'runtime.out_of_memory': 'The worker ran out of memory.',
  'runtime.system_error': 'A call to the operating system failed in a way that has no finer code.',
  'runtime.node_error': 'Node.js reported an error that has no finer code.',

  'unknown.error': 'An error was thrown that carries no fact to classify it by.',
  'unknown.thrown': 'A value that is not an error was thrown.',
} as const satisfies Record<string, string>)

/** A code of the closed set. */
export type LibraryReasonCode = keyof typeof REASON_CODES

/** A code of the closed set, or a host's own of the same form (see {@link isReasonCode}). */
export type ReasonCode = LibraryReasonCode | (string & {})

/** Twice the longest code of the closed set; short enough for a metric label. */
export const MAX_REASON_CODE_LENGTH = 64

const WORD = '[a-z][a-z0-9]*(?:_[a-z0-9]+)*'
const FORM = new RegExp(`^${WORD}(?:\\.${WORD}){1,3}$`)

/** Two to four dot-separated snake_case words, each beginning with a letter, at most 64 characters in all. */
export function isReasonCode(text: unknown): text is ReasonCode {
  return typeof text === 'string' && text.length <= MAX_REASON_CODE_LENGTH && FORM.test(text)
}

/** @throws InvalidOptionError naming `option` when `value` does not have the form of a reason code */
export function assertReasonCode(option: string, value: unknown): asserts value is ReasonCode {
  if (isReasonCode(value)) return
  throw new InvalidOptionError(
    option,
    value,
    `two to four snake_case words joined by dots, at most ${MAX_REASON_CODE_LENGTH} characters, ` +
      'such as provider.throttled',
  )
}
