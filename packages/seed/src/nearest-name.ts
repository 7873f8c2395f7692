/** The end of a message about a name that is not known: the name that was meant, else all there are. */
export function suggest(name: string, known: readonly string[]): string {
  const meant = nearest(name, known)
  return meant === undefined ? `allowed: ${known.join(', ')}` : `did you mean ${meant}?`
}

/** The known name that this one is a misspelling of. */
function nearest(name: string, known: readonly string[]): string | undefined {
  let least = Math.max(1, Math.floor(name.length / 3)) + 1
  let found: string | undefined
  for (const candidate of known) {
    const distance = editDistance(name.slice(0, 100).toLowerCase(), candidate.toLowerCase())
    if (distance < least) {
      least = distance
      found = candidate
    }
  }
  return found
}

/** Characters to insert, delete, replace, or swap with their neighbour. */
function editDistance(from: string, to: string): number {
  const rows = [Array.from({ length: to.length + 1 }, (_, column) => column)]
  for (let row = 1; row <= from.length; row++) {
    const last = rows[row - 1]!
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const replaced = last[column - 1]! + (from[row - 1] === to[column - 1] ? 0 : 1)
      const isSwapped =
        row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      const swapped = isSwapped ? rows[row - 2]![column - 2]! + 1 : replaced
      current.push(Math.min(replaced, swapped, last[column]! + 1, current[column - 1]! + 1))
    }
    rows.push(current)
  }
  return rows[from.length]![to.length]!
}
