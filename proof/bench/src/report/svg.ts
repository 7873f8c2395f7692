/** One bar: a name, and how long it is. */
export interface Bar {
  readonly label: string
  readonly value: number
  /** Least and most of the runs, drawn as a line over the end of the bar. */
  readonly least: number
  readonly most: number
  /** The library's own cases stand out. */
  readonly isOwn: boolean
}

const WIDTH = 720
const LABEL_WIDTH = 300
const BAR_WIDTH = 300
const ROW = 26
const TOP = 44

/** Middle tones and a text colour that follows the reader's scheme: readable on a light and on a dark page. */
const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 15px }
  .other { fill: #8c959f } .own { fill: #2da44e } .spread { stroke: #57606a; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .spread { stroke: #c9d1d9 } }`

/** Horizontal bars, longest at whatever place it was given; text can be read and searched. */
export function barChart(title: string, bars: readonly Bar[], write: (value: number) => string): string {
  const longest = Math.max(...bars.map(({ most }) => most), Number.MIN_VALUE)
  const x = (value: number) => LABEL_WIDTH + (value / longest) * BAR_WIDTH
  const rows = bars.map(({ label, value, least, most, isOwn }, n) => {
    const y = TOP + n * ROW
    const middle = y + ROW / 2 - 3
    return [
      `<text x="${LABEL_WIDTH - 8}" y="${middle + 4}" text-anchor="end">${escaped(label)}</text>`,
      `<rect class="${isOwn ? 'own' : 'other'}" x="${LABEL_WIDTH}" y="${y}" rx="2"`,
      ` width="${(x(value) - LABEL_WIDTH).toFixed(1)}" height="${ROW - 6}"/>`,
      `<line class="spread" x1="${x(least).toFixed(1)}" x2="${x(most).toFixed(1)}" y1="${middle}" y2="${middle}"/>`,
      `<text x="${(x(most) + 6).toFixed(1)}" y="${middle + 4}">${escaped(write(value))}</text>`,
    ].join('')
  })
  const height = TOP + bars.length * ROW + 8
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(title)}">`,
    `<style>${STYLE}</style>`,
    `<text class="title" x="8" y="24">${escaped(title)}</text>`,
    ...rows,
    '</svg>\n',
  ].join('\n')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
