import type { Mark } from './spans.ts'

/**
 * 128 bits in hex, and the shortest key most providers give out. Shorter runs are ids people must be able to read:
 * ULIDs (26), KSUIDs (27), object ids (24).
 */
const MIN_RANDOM_LENGTH = 32

const RUN = new RegExp(`[A-Za-z0-9+/_-]{${MIN_RANDOM_LENGTH},}={0,2}`, 'g')
const UUID = /(?<![\da-f])[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}(?![\da-f])/gi
const ALPHANUMERIC = new RegExp(`[A-Za-z0-9]{${MIN_RANDOM_LENGTH},}`, 'g')

/** A hex or base32 run of 32 characters has 9 to 15 places where letter and digit meet; a name hardly ever 5. */
const MIN_LETTER_DIGIT_MEETINGS = 5
/** In base64 every second or third character jumps so; in camelCase or a path one in six or fewer. */
const MIN_JUMPS_PER_CHARACTER = 0.2

/** Finds long runs that look drawn at random: keys and digests in hex, base32, base62, base64. UUIDs are left alone. */
export function findRandomRuns(text: string, mark: Mark): void {
  for (const run of text.matchAll(RUN)) {
    let from = 0
    for (const uuid of [...run[0].matchAll(UUID), undefined]) {
      const to = uuid?.index ?? run[0].length
      const piece = run[0].slice(from, to)
      if (isMixedRandom(piece)) mark(run.index + from, run.index + to)
      else markAlphanumeric(piece, run.index + from, mark)
      from = to + (uuid?.[0].length ?? 0)
    }
  }
}

function markAlphanumeric(piece: string, offset: number, mark: Mark): void {
  for (const match of piece.matchAll(ALPHANUMERIC)) {
    const meetings = match[0].match(/[A-Za-z](?=\d)|\d(?=[A-Za-z])/g)?.length ?? 0
    if (meetings < MIN_LETTER_DIGIT_MEETINGS) continue
    mark(offset + match.index, offset + match.index + match[0].length)
  }
}

function isMixedRandom(piece: string): boolean {
  if (piece.length < MIN_RANDOM_LENGTH) return false
  if (!/[a-z]/.test(piece) || !/[A-Z]/.test(piece) || !/\d/.test(piece)) return false
  const jumps = piece.match(/[a-z](?=[A-Z\d])|[A-Z](?=\d)|\d(?=[A-Za-z])/g)?.length ?? 0
  return jumps / piece.length >= MIN_JUMPS_PER_CHARACTER
}
