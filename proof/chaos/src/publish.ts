import { readFileSync, writeFileSync } from 'node:fs'
import { faults } from './faults/index.ts'
import { publicationOf } from './report/publication.ts'

/** `pnpm chaos:publish FILE…`: writes the results of `pnpm chaos --long --json FILE` into docs/faults.md. */
const PAGE = new URL('../../../docs/faults.md', import.meta.url)
const [BEGIN, END] = ['<!-- results -->', '<!-- /results -->']

try {
  const files = process.argv.slice(2).filter((argument) => argument !== '--')
  const contents = files.map((file) => ({ file, content: contentOf(file) }))
  const text = publicationOf(contents, faults)
  const page = readFileSync(PAGE, 'utf8')
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (from === -1 || to < from) throw new Error(`docs/faults.md holds no ${BEGIN} … ${END}`)
  writeFileSync(PAGE, `${page.slice(0, from + BEGIN.length)}\n\n${text}\n\n${page.slice(to)}`)
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 2
}

function contentOf(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new Error(`${file} cannot be read: ${(error as Error).message}`)
  }
}
