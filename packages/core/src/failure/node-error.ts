import type { LibraryReasonCode } from './reason-code.ts'

const CODES: Readonly<Record<string, LibraryReasonCode>> = {
  ECONNREFUSED: 'network.refused',
  ECONNRESET: 'network.reset',
  ECONNABORTED: 'network.reset',
  EPIPE: 'network.reset',
  ENOTCONN: 'network.reset',
  ESHUTDOWN: 'network.reset',
  ETIMEDOUT: 'network.timeout',
  ETIME: 'network.timeout',
  ESOCKETTIMEDOUT: 'network.timeout',
  ENOTFOUND: 'network.dns',
  EHOSTUNREACH: 'network.unreachable',
  ENETUNREACH: 'network.unreachable',
  EHOSTDOWN: 'network.unreachable',
  ENETDOWN: 'network.unreachable',
  EADDRNOTAVAIL: 'network.unreachable',
  EADDRINUSE: 'network.address_in_use',
  EPROTO: 'network.tls',
  ENOENT: 'runtime.file_not_found',
  EEXIST: 'runtime.file_exists',
  EACCES: 'runtime.permission_denied',
  EPERM: 'runtime.permission_denied',
  EROFS: 'runtime.permission_denied',
  ENOSPC: 'runtime.disk_full',
  EDQUOT: 'runtime.disk_full',
  EMFILE: 'runtime.too_many_files',
  ENFILE: 'runtime.too_many_files',
  ENOMEM: 'runtime.out_of_memory',
  ENOBUFS: 'runtime.out_of_memory',

  UND_ERR_CONNECT_TIMEOUT: 'network.timeout',
  UND_ERR_HEADERS_TIMEOUT: 'network.timeout',
  UND_ERR_BODY_TIMEOUT: 'network.timeout',
  UND_ERR_SOCKET: 'network.reset',
  UND_ERR_ABORTED: 'abort.signal',
  UND_ERR_INVALID_ARG: 'runtime.invalid_argument',

  ABORT_ERR: 'abort.signal',
  ERR_ABORTED: 'abort.signal',
  ERR_CANCELED: 'abort.signal',
  ERR_NETWORK: 'network.error',
  ERR_BAD_REQUEST: 'provider.rejected',
  ERR_BAD_RESPONSE: 'provider.invalid_response',
  ERR_BODY_PARSE_FAILURE: 'provider.invalid_response',
  ERR_FR_TOO_MANY_REDIRECTS: 'provider.redirected',
  ERR_TOO_MANY_REDIRECTS: 'provider.redirected',
  ERR_GOT_REQUEST_ERROR: 'network.error',
  ERR_STREAM_PREMATURE_CLOSE: 'network.reset',
  ERR_SOCKET_CONNECTION_TIMEOUT: 'network.timeout',
  ERR_ASSERTION: 'runtime.assertion',
  ERR_OUT_OF_RANGE: 'runtime.out_of_range',
  ERR_BUFFER_OUT_OF_BOUNDS: 'runtime.out_of_range',
  ERR_WORKER_OUT_OF_MEMORY: 'runtime.out_of_memory',
  ERR_MEMORY_ALLOCATION_FAILED: 'runtime.out_of_memory',
  ERR_STRING_TOO_LONG: 'runtime.out_of_memory',
  ERR_MODULE_NOT_FOUND: 'runtime.module_not_found',
  MODULE_NOT_FOUND: 'runtime.module_not_found',
  ERR_PACKAGE_PATH_NOT_EXPORTED: 'runtime.module_not_found',
  ERR_ACCESS_DENIED: 'runtime.permission_denied',
  ERR_INVALID_URI: 'runtime.invalid_uri',

  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'network.tls',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'network.tls',
  SELF_SIGNED_CERT_IN_CHAIN: 'network.tls',
  HOSTNAME_MISMATCH: 'network.tls',
}

/** Families, asked in this order after the single codes. */
const FAMILIES: readonly (readonly [RegExp, LibraryReasonCode])[] = [
  [/^EAI_/, 'network.dns'],
  [/^(?:CERT_|CRL_|UNABLE_TO_|ERR_TLS_|ERR_SSL_|INVALID_CA$|PATH_LENGTH_EXCEEDED$)/, 'network.tls'],
  [/^(?:HPE_|ERR_HTTP2_|ERR_HTTP_)/, 'network.protocol'],
  [/^(?:UND_ERR_|ERR_SOCKET_)/, 'network.error'],
  [/^(?:ERR_INVALID_|ERR_MISSING_ARGS$|ERR_UNKNOWN_)/, 'runtime.invalid_argument'],
  [/^ERR_[A-Z0-9_]+$/, 'runtime.node_error'],
]

/** libuv's system errors are the only codes of this form; five capitals of it are no SQLSTATE in use. */
const SYSTEM_ERROR = /^E[A-Z0-9]{2,15}$/

/**
 * What an error's `code` says when it comes from Node, its HTTP clients, or OpenSSL; undefined for any other text.
 * `syscall` tells a refused connection from a refused file.
 */
export function nodeErrorReason(code: string, syscall = ''): LibraryReasonCode | undefined {
  if ((code === 'EACCES' || code === 'EPERM') && /^(?:connect|bind|listen|send)/.test(syscall))
    return 'network.refused'
  if (Object.hasOwn(CODES, code)) return CODES[code]
  for (const [pattern, reasonCode] of FAMILIES) if (pattern.test(code)) return reasonCode
  return SYSTEM_ERROR.test(code) ? 'runtime.system_error' : undefined
}
