import { seen, toVisible, UNSEEN } from './invisible-characters.ts'

/**
 * One reading of a text: what is found in `text` from i to j lies in the original from `starts[i]` to `ends[j - 1]`.
 * Searching readings, and marking on the original, finds a secret that is encoded or torn apart by invisible
 * characters, yet cuts exactly what stands in the original.
 */
export interface View {
  readonly text: string
  readonly starts: Uint32Array
  readonly ends: Uint32Array
}

/** Layers of encoding that are undone: JSON inside JSON, a URL inside a query. Each layer multiplies the work by 4. */
const DECODED_LAYERS = 2

const HEX = '[\\da-f]'
const PERCENT = new RegExp(
  `%[0-7]${HEX}|%[cd]${HEX}%[89ab]${HEX}|%e${HEX}(?:%[89ab]${HEX}){2}|%f[0-7](?:%[89ab]${HEX}){3}`,
  'gi',
)
const BACKSLASH = new RegExp(
  `\\\\u(d[89ab]${HEX}{2})\\\\u(d[c-f]${HEX}{2})|\\\\(?:u\\{(${HEX}{1,6})\\}|u(${HEX}{4})|x(${HEX}{2})|([^]))`,
  'gi',
)
const ENTITY = /&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([\da-f]{1,6}));/gi

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\n', t: ' ', b: ' ', f: ' ', v: ' ', 0: '' }

/** Every reading of a text: invisible characters left out, and as gaps; each also with its encodings undone. */
export function viewsOf(text: string): View[] {
  const original = plainView(text)
  const joined = rewrite(original, UNSEEN, (match) => seen(match))
  const split = rewrite(original, UNSEEN, (match) => seen(match, ' '))
  const views = joined === undefined ? [original] : [joined]
  if (split !== undefined && split.text !== joined?.text) views.push(split)

  let layer: View[] = views
  const decoded: View[] = []
  for (let depth = 0; depth < DECODED_LAYERS; depth++) {
    layer = layer.flatMap(decodings)
    decoded.push(...layer)
  }
  return [...views, ...decoded]
}

/** The reading the output is made of: {@link UNSEEN} characters replaced, nothing decoded. */
export function joinedView(text: string): View {
  const original = plainView(text)
  return rewrite(original, UNSEEN, (match) => seen(match)) ?? original
}

function decodings(view: View): View[] {
  return [
    rewrite(view, PERCENT, ([match]) => decodePercent(match)),
    rewrite(view, BACKSLASH, decodeBackslash),
    rewrite(view, ENTITY, ([, name, decimal, hex]) =>
      name
        ? ENTITIES[name.toLowerCase()]!
        : fromCodePoint(decimal ? Number(decimal) : Number.parseInt(hex!, 16)),
    ),
  ].filter((decoded) => decoded !== undefined)
}

function plainView(text: string): View {
  const starts = new Uint32Array(text.length)
  const ends = new Uint32Array(text.length)
  for (let i = 0; i < text.length; i++) {
    starts[i] = i
    ends[i] = i + 1
  }
  return { text, starts, ends }
}

/** The view with every match replaced; undefined when nothing matched. A replacement is never longer than its match. */
function rewrite(view: View, pattern: RegExp, to: (match: RegExpMatchArray) => string): View | undefined {
  const starts = new Uint32Array(view.text.length)
  const ends = new Uint32Array(view.text.length)
  const pieces: string[] = []
  let length = 0
  let copied = 0
  const copy = (until: number): void => {
    pieces.push(view.text.slice(copied, until))
    starts.set(view.starts.subarray(copied, until), length)
    ends.set(view.ends.subarray(copied, until), length)
    length += until - copied
  }
  for (const match of view.text.matchAll(pattern)) {
    const replacement = to(match)
    const next = match.index + match[0].length
    copy(match.index)
    pieces.push(replacement)
    starts.fill(view.starts[match.index]!, length, length + replacement.length)
    ends.fill(view.ends[next - 1]!, length, length + replacement.length)
    length += replacement.length
    copied = next
  }
  if (copied === 0) return undefined
  copy(view.text.length)
  return { text: pieces.join(''), starts: starts.subarray(0, length), ends: ends.subarray(0, length) }
}

function decodePercent(match: string): string {
  try {
    return toVisible(decodeURIComponent(match))
  } catch {
    return match
  }
}

function decodeBackslash([, high, low, braced, four, two, other]: RegExpMatchArray): string {
  if (high !== undefined) return String.fromCharCode(Number.parseInt(high, 16), Number.parseInt(low!, 16))
  const hex = braced ?? four ?? two
  if (hex !== undefined) return fromCodePoint(Number.parseInt(hex, 16))
  return ESCAPES[other!] ?? other!
}

function fromCodePoint(codePoint: number): string {
  return codePoint > 0x10ffff ? '' : toVisible(String.fromCodePoint(codePoint))
}
