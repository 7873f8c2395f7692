import type { Mark } from './spans.ts'

/**
 * Tokens with a beginning of their own, as their issuers and public secret scanners document them. Every entry is a
 * literal, then one class with a minimum: it either takes the rest of the word or gives up within that minimum, which
 * keeps the whole search linear. `eyJ` is `{"` in base64: a JSON web token, whole or cut, and its relatives.
 */
const PREFIXED = new RegExp(
  [
    'eyJ[\\w-]{10,}(?:\\.[\\w-]*){0,4}',
    'gh[opsur]_\\w{16,}|github_pat_\\w{16,}|gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[\\w-]{16,}',
    'xox[abceoprs](?:\\.xox[bp])?-[\\w-]{8,}|xapp-[\\w-]{8,}',
    '(?:sk|rk|pk|whsec)_(?:live|test)_\\w{8,}|whsec_[\\w+/=-]{8,}|(?<![A-Za-z0-9])sk-[\\w-]{16,}',
    '(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA|AIPA|ABIA|ACCA)[A-Z0-9]{12,}',
    'AIza[\\w-]{20,}|ya29\\.[\\w.-]{8,}|(?<!\\w)1//0[\\w-]{16,}|GOCSPX-[\\w-]{8,}',
    'SG\\.[\\w.-]{16,}|key-[\\da-f]{24,}|(?<!\\w)AC[\\da-f]{32}|(?<!\\w)SK[\\da-f]{32}',
    'npm_[A-Za-z0-9]{24,}|pypi-[\\w-]{16,}|dckr_(?:pat|oat)_[\\w-]{16,}|hf_[A-Za-z0-9]{16,}',
    'dop_v1_\\w{16,}|do[or]_v1_\\w{16,}|shp(?:at|ca|pa|ss)_\\w{16,}|sq0(?:atp|csp|idp)-[\\w-]{16,}',
    'hv[sbr]\\.[\\w.-]{16,}|glsa_\\w{16,}|glc_[\\w+/=]{16,}|lin_api_\\w{16,}|sntry[su]_[\\w+/=]{16,}',
    'pscale_(?:tkn|pw|oauth)_[\\w.-]{8,}|sbp_\\w{16,}|gsk_\\w{16,}|r8_\\w{16,}|tvly-[\\w-]{16,}|figd_[\\w-]{16,}',
    'ATATT3[\\w=.-]{16,}|ATCTT3[\\w=.-]{16,}|PMAK-[\\w-]{16,}|NRAK-\\w{16,}|AGE-SECRET-KEY-1[A-Z0-9]{16,}',
    '\\w{3}\\dQ~[\\w~.-]{16,}|(?<!\\d)\\d{8,10}:AA[\\w-]{24,}',
    '(?<=hooks\\.slack\\.com/(?:services|workflows|triggers)/)[\\w/-]{8,}',
    '(?<=/api/webhooks/)[\\w/-]{8,}',
  ].join('|'),
  'g',
)

/** A scheme and its credentials; ordinary words after `Bearer` are none. */
const BEARER =
  /\bBearer {1,8}(?!(?:tokens?|auth\w*|scheme|header|realm|error|is|was|were|and|or|not|for|in)\b)([^\s"'`<>,;)\]}]{2,})/gi
/** These words begin sentences too, so their credentials must look like some: a digit, padding or inner capitals. */
const OTHER_SCHEME =
  /\b(?:[Bb]asic|BASIC|[Dd]igest|[Nn]egotiate|NTLM|[Aa]pi[Kk]ey|Splunk|[Tt]oken) {1,8}(?=[\w+/.~-]{0,256}(?:\d|=|[a-z][A-Z]))([\w+/.~-]{6,}={0,2})/g

/** Finds tokens that are recognized by their own shape, and credentials behind the name of their scheme. */
export function findTokens(text: string, mark: Mark): void {
  for (const match of text.matchAll(PREFIXED)) mark(match.index, match.index + match[0].length)
  for (const pattern of [BEARER, OTHER_SCHEME]) {
    for (const match of text.matchAll(pattern)) {
      const end = match.index + match[0].length
      mark(end - match[1]!.length, end)
    }
  }
}
