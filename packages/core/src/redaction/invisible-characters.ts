/**
 * What stands in the output where a line ended: a message stays on one line, which no log line can be forged with, and
 * a second redaction still knows where a header's line ended.
 */
export const LINE_MARK = '⏎'

/**
 * Everything that is not to be seen as it is, in three groups: ends of lines (the mark itself included), spaces of any
 * width, and characters without width or form (controls, bidi, zero-width, variation selectors, tags, half a
 * surrogate pair).
 */
export const UNSEEN =
  /(\r\n|[\n\r\u0085\u2028\u2029⏎])|([\t\v\f\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\u2800])|[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]/gu

/** What a match of {@link UNSEEN} becomes while text is searched; `invisible` is the third group's replacement. */
export function seen(match: RegExpMatchArray, invisible = ''): string {
  if (match[1] !== undefined) return '\n'
  return match[2] === undefined ? invisible : ' '
}

/** The text as it is searched: line ends are `\n`, spaces are plain, invisible characters are gone. */
export function toVisible(text: string): string {
  return text.replace(UNSEEN, (...match) => seen(match as unknown as RegExpMatchArray))
}
