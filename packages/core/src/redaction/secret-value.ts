/** Where a secret value lies, and from where the search goes on. */
export interface Extent {
  readonly from: number
  readonly to: number
}

const CLOSING: Readonly<Record<string, string>> = { '[': ']', '{': '}', '(': ')' }

/** After `&`, `;` or `,`: whether the value has ended, rather than holding that character itself. */
const NEXT_PAIR = /\s|$|…|["'[{(\\&;,]|[\w.$%[\]-]{1,64} {0,2}[=:]/y
/** After a closing quote or bracket: whether it closed something around the value. */
const AFTER_CLOSING = /\s|$|[…"'`,;:.!?)\]}<>&|\\/]/y

/**
 * The value that begins at `at`: what stands between quotes or brackets, else up to a space or to a character that
 * ends the pair. In doubt it is longer: an unclosed quote or bracket reaches to the end of the text.
 */
export function secretValue(text: string, at: number): Extent {
  const first = text[at]
  const quote = /["'`]/.test(first ?? '') ? at : first === '\\' ? escapedQuote(text, at) : -1
  if (quote >= 0) {
    const from = quote + 1
    const close = text[at] === '\\' ? closingEscaped(text, at, quote) : closingQuote(text, quote)
    return goOn(text, from, close.from, close.to)
  }
  if (first !== undefined && first in CLOSING) {
    const close = closingBracket(text, at)
    return goOn(text, at + 1, close, close + 1)
  }
  return { from: at, to: bareEnd(text, at) }
}

/** After a quote inside a header's line: whether it closed around the whole header. */
const AFTER_HEADER = /\s|$|["'`,)\]}]/y

/** To the end of the line, or to the quote that closes around a whole header. */
export function lineValue(text: string, at: number, enclosingQuote: string | undefined): Extent {
  let to = at
  for (; to < text.length && text[to] !== '\n'; to++) {
    if (text[to] !== enclosingQuote || text[to - 1] === '\\') continue
    if (matchesAt(AFTER_HEADER, text, to + 1)) break
  }
  return { from: at, to: beforeCutMark(text, to) }
}

/** A quoted value that goes on behind its closing quote is taken as a whole. */
function goOn(text: string, from: number, to: number, after: number): Extent {
  if (after > text.length) return { from, to: beforeCutMark(text, text.length) }
  const end = bareEnd(text, after)
  return { from, to: end > after ? end : to }
}

function bareEnd(text: string, at: number): number {
  for (let i = at; i < text.length; i++) {
    const character = text[i]!
    if (/\s/.test(character) || (character === '…' && i === text.length - 1)) return i
    if (/[&;,]/.test(character) && matchesAt(NEXT_PAIR, text, i + 1)) return i
    if (/["'`)\]}>\\]/.test(character) && matchesAt(AFTER_CLOSING, text, i + 1)) return i
    if (character === '<' && /[/\w]/.test(text[i + 1] ?? '')) return i
  }
  return text.length
}

function matchesAt(pattern: RegExp, text: string, at: number): boolean {
  pattern.lastIndex = at
  return pattern.test(text)
}

/** The index of the closing quote; beyond the text when there is none. A backslash or doubling escapes a quote. */
function closingQuote(text: string, open: number): Extent {
  const quote = text[open]
  for (let i = open + 1; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === quote) {
      if (text[i + 1] !== quote) return { from: i, to: i + 1 }
      i++
    }
  }
  return { from: text.length, to: text.length + 1 }
}

/** The index of the quote behind up to 8 backslashes, as in JSON inside JSON; -1 when there is none. */
function escapedQuote(text: string, at: number): number {
  let i = at
  while (text[i] === '\\' && i < at + 8) i++
  return /["']/.test(text[i] ?? '') ? i : -1
}

function closingEscaped(text: string, at: number, quote: number): Extent {
  const found = text.indexOf(text.slice(at, quote + 1), quote + 1)
  return found < 0 ? { from: text.length, to: text.length + 1 } : { from: found, to: found + quote + 1 - at }
}

/** The index of the bracket that closes the one at `open`, quotes respected; the text's length when there is none. */
function closingBracket(text: string, open: number): number {
  const opening = text[open]!
  const closing = CLOSING[opening]
  let depth = 0
  for (let i = open; i < text.length; i++) {
    const character = text[i]!
    if (character === opening) depth++
    else if (character === closing && --depth === 0) return i
    else if (/["'`]/.test(character)) i = closingQuote(text, i).from
  }
  return text.length
}

/** A text that was cut ends with `…`, which is nobody's secret. */
function beforeCutMark(text: string, to: number): number {
  return to === text.length && text.endsWith('…') ? to - 1 : to
}
