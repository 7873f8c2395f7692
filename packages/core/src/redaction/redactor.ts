import { InvalidOptionError } from '../errors.ts'
import { LINE_MARK } from './invisible-characters.ts'
import { KnownValues } from './known-values.ts'
import { SpanCover } from './spans.ts'
import { findStructuralSecrets } from './structural.ts'
import { joinedView, viewsOf } from './views.ts'

/** Stands for every secret, whatever its kind and length; also the whole answer when redaction itself fails. */
export const PLACEHOLDER = '[redacted]'

/** Room for a long driver message; small enough to be read at once and to be kept with each run. */
const DEFAULT_MAX_MESSAGE_LENGTH = 2_000

/** Room for the placeholder and a few words. */
const MIN_MAX_LENGTH = 32

/** Read beyond the cap, so that a secret the cap would cut is known for what it is; longer than any usual token. */
const SCAN_AHEAD_LENGTH = 4_096

/** One pass removes what there is; the second finds nothing new. More than this never happens to ordinary text. */
const MAX_PASSES = 6

/** Ends a text that was cut. */
const CUT_MARK = '…'

export interface RedactorOptions {
  /** Values known to be secret, found raw and in their usual encodings. Those under 6 characters are not looked for. */
  secrets?: Iterable<string>
  /** The longest output, in UTF-16 code units, at least 32. Longer text is cut and ends with `…`. @default 2,000 */
  maxLength?: number
}

/**
 * Clears text of known values, and of what has the form of a secret: URL credentials, `key=value`, headers, tokens, PEM
 * blocks. A secret that is neither known nor looks like one is not found.
 */
export interface Redactor {
  /**
   * The text without secrets, on one line (`⏎` for a line end), well-formed, at most `maxLength` long. Never throws,
   * and doing it again changes nothing. What is no text and no other primitive becomes the placeholder.
   */
  redact(text: unknown): string
  /** Looks for this value from now on, in all its encodings. False when it is too short for that. */
  addSecret(value: string): boolean
}

/**
 * For a host's own logs; each ledger has one of its own, made of its `secrets` and its connection settings.
 * @throws InvalidOptionError
 */
export function createRedactor(options: RedactorOptions = {}): Redactor {
  const maxLength = options.maxLength ?? DEFAULT_MAX_MESSAGE_LENGTH
  if (!Number.isSafeInteger(maxLength) || maxLength < MIN_MAX_LENGTH) {
    throw new InvalidOptionError('maxLength', maxLength, `a whole number of at least ${MIN_MAX_LENGTH}`)
  }
  if (typeof options.secrets === 'string') {
    throw new InvalidOptionError('secrets', 'one string', 'an iterable of strings, such as an array')
  }
  const known = new KnownValues()
  const addSecret = (value: string): boolean => typeof value === 'string' && known.add(value)
  for (const secret of options.secrets ?? []) addSecret(secret)
  return {
    addSecret,
    redact: (text) =>
      untilStable(
        () => asText(text),
        (input) => redactOnce(input, known, maxLength),
      ),
  }
}

/** Repeats a pass until it changes nothing, which makes the result final by construction. Fails closed. */
export function untilStable(read: () => string, pass: (text: string) => string): string {
  try {
    let text = pass(read())
    for (let passes = 1; passes < MAX_PASSES; passes++) {
      const next = pass(text)
      if (next === text) return text
      text = next
    }
  } catch {
    // Whatever went wrong, nothing may be shown that was not cleared.
  }
  return PLACEHOLDER
}

/** Finds all spans of all readings on the original text, then cuts once. Known values first, they need no guess. */
export function redactOnce(text: string, known: KnownValues, maxLength: number): string {
  const isCut = text.length > maxLength + SCAN_AHEAD_LENGTH
  const scanned = isCut ? text.slice(0, maxLength + SCAN_AHEAD_LENGTH) : text
  const cover = new SpanCover(scanned.length)
  for (const view of viewsOf(scanned)) {
    const mark = (from: number, to: number): void => {
      if (to > from) cover.add(view.starts[from]!, view.ends[to - 1]!)
    }
    const begun = known.find(view.text, mark)
    if (isCut) {
      mark(view.text.length - begun, view.text.length)
      mark(lastWordStart(view.text), view.text.length)
    }
    findStructuralSecrets(view.text, mark)
    markPlaceholders(view.text, mark)
  }
  return render(scanned, cover.toMask(), maxLength)
}

/** A word the cap cuts may be a token that can no longer be recognized. */
function lastWordStart(text: string): number {
  let start = text.length
  while (start > 0 && !/\s/.test(text[start - 1]!)) start--
  return start
}

/** A placeholder that stands there already stays whole, and unites with secrets that touch it. */
function markPlaceholders(text: string, mark: (from: number, to: number) => void): void {
  for (let at = text.indexOf(PLACEHOLDER); at >= 0; at = text.indexOf(PLACEHOLDER, at + 1)) {
    mark(at, at + PLACEHOLDER.length)
  }
}

function render(text: string, mask: Uint8Array, maxLength: number): string {
  const { text: visible, starts } = joinedView(text)
  const pieces: string[] = []
  let length = 0
  let isCut = text.length > maxLength
  const push = (piece: string): void => {
    pieces.push(piece)
    length += piece.length
  }
  for (let i = 0; i < visible.length && starts[i]! < maxLength; i++) {
    if (mask[starts[i]!] === 0) push(visible[i] === '\n' ? LINE_MARK : visible[i]!)
    else if (pieces.at(-1) !== PLACEHOLDER) push(PLACEHOLDER)
    if (length > maxLength) {
      isCut = true
      break
    }
  }
  if (!isCut) return pieces.join('').toWellFormed()
  while (length > maxLength - CUT_MARK.length) length -= pieces.pop()!.length
  if (/[\ud800-\udbff]$/.test(pieces.at(-1) ?? '')) pieces.pop()
  return (pieces.join('') + CUT_MARK).toWellFormed()
}

/** Objects are not asked for a text: their `toString` could do anything, and their fields are not for showing. */
function asText(value: unknown): string {
  if (typeof value === 'string') return value
  return value === null || !/^(?:object|function|symbol)$/.test(typeof value) ? String(value) : PLACEHOLDER
}
