import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { useDatabase } from '@opsledger/testing/vitest'
import { describe, expect, it } from 'vitest'

const root = new URL('../../../', import.meta.url)
const source = (file: string) => new URL(`examples/snippets/src/${file}`, root)
const database = useDatabase()

/** `<!-- snippet: file.ts#region -->` before a code block says where the block comes from. */
const SNIPPET = /<!-- snippet: (\S+?)#(\S+) -->\n+```ts\n([\s\S]*?)```/g

async function pages(): Promise<string[]> {
  const docs = await readdir(new URL('docs/', root), { recursive: true })
  return ['README.md', ...docs.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)]
}

function region(text: string, name: string): string {
  const [, body] = text.match(new RegExp(`// #region ${name}\\n([\\s\\S]*?)// #endregion`)) ?? []
  if (body === undefined) throw new Error(`There is no region ${name}`)
  return body
}

describe('snippets', () => {
  it('every snippet of the pages is a region of a file that runs', async () => {
    let found = 0
    for (const page of await pages()) {
      const text = await readFile(new URL(page, root), 'utf8')
      for (const [, file, name, code] of text.matchAll(SNIPPET)) {
        found += 1
        expect(code, `${page}: ${file}#${name}`).toBe(region(await readFile(source(file!), 'utf8'), name!))
      }
      const blocks = text.match(/```ts\n/g)?.length ?? 0
      const marked = [...text.matchAll(SNIPPET)].length
      expect(marked, `code blocks of ${page} without a file behind them`).toBe(blocks)
    }
    expect(found).toBeGreaterThan(0)
  })

  it.each(['quickstart.ts', 'operating.ts'])('%s runs', async (file) => {
    const args = ['--conditions=opsledger-source', source(file).pathname]
    const env = { ...process.env, DATABASE_URL: database.url }
    await expect(promisify(execFile)(process.execPath, args, { env })).resolves.toMatchObject({ stderr: '' })
  })
})
