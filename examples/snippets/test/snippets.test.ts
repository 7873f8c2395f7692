import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { useDatabase } from '@opsledger/testing/vitest'
import { describe, expect, it } from 'vitest'

const root = new URL('../../../', import.meta.url)
const sources = new URL('../src/', import.meta.url)
const database = useDatabase()

const redisUrl = process.env.OPSLEDGER_REDIS_URL
if (redisUrl === undefined) {
  console.warn('BullMQ snippets are compiled, not run: OPSLEDGER_REDIS_URL, the URL of a Redis, is not set')
}

/** `<!-- snippet: file.ts#region -->` before a code block says where the block comes from. */
const SNIPPET = /<!-- snippet: (\S+?)#(\S+) -->\n+```ts\n([\s\S]*?)```/g
const BLOCK = /^\s*(?:```|~~~)\s*(?:ts|typescript|js|javascript|mts)\b/gm

/** Every page a host reads. Decisions are history; the reference is generated from the sources. */
async function pages(): Promise<string[]> {
  const docs = await readdir(new URL('docs/', root), { recursive: true })
  const packages = await readdir(new URL('packages/', root))
  const readmes = await Promise.all(
    packages.map(async (name) =>
      (await readdir(new URL(`packages/${name}/`, root))).includes('README.md')
        ? [`packages/${name}/README.md`]
        : [],
    ),
  )
  return [
    'README.md',
    ...docs.filter((name) => /^(?!reference\/).*\.md$/.test(name)).map((name) => `docs/${name}`),
    ...readmes.flat(),
  ]
}

const files = (await readdir(sources, { recursive: true })).filter((name) => name.endsWith('.ts')).sort()

function region(text: string, name: string): string {
  const [, indent, body] =
    text.match(new RegExp(`^( *)// #region ${name}\\n([\\s\\S]*?)^ *// #endregion`, 'm')) ?? []
  if (body === undefined) throw new Error(`There is no region ${name}`)
  return body.replaceAll(new RegExp(`^${indent}`, 'gm'), '')
}

describe('snippets', () => {
  it('every snippet of the pages is a region of a file that runs', async () => {
    const shown = new Set<string>()
    for (const page of await pages()) {
      const text = await readFile(new URL(page, root), 'utf8')
      for (const [, file, name, code] of text.matchAll(SNIPPET)) {
        expect(files, `${page}: ${file}`).toContain(file)
        const source = await readFile(new URL(file!, sources), 'utf8')
        expect(code, `${page}: ${file}#${name}`).toBe(region(source, name!))
        shown.add(`${file}#${name}`)
      }
      const blocks = text.match(BLOCK)?.length ?? 0
      const marked = [...text.matchAll(SNIPPET)].length
      expect(marked, `code blocks of ${page} without a file behind them`).toBe(blocks)
    }
    const declared: string[] = []
    for (const file of files) {
      const source = await readFile(new URL(file, sources), 'utf8')
      for (const [, name] of source.matchAll(/\/\/ #region (\S+)/g)) declared.push(`${file}#${name}`)
    }
    expect([...shown].sort()).toEqual(declared.sort())
  })

  for (const file of files) {
    // What is skipped is compiled all the same.
    it.skipIf(file.includes('bullmq') && redisUrl === undefined)(`${file} runs`, async () => {
      const args = ['--conditions=opsledger-source', new URL(file, sources).pathname]
      const env = {
        ...process.env,
        DATABASE_URL: database.url,
        REDIS_URL: redisUrl,
        FETCH_QUEUE: `assignment-fetch-${crypto.randomUUID()}`, // other runs of the tests may share the Redis
      }
      await expect(promisify(execFile)(process.execPath, args, { env })).resolves.toMatchObject({
        stderr: '',
      })
    })
  }

  it('every link between the pages leads to a page, and to a heading of it', async () => {
    const broken: string[] = []
    for (const page of await pages()) {
      const from = new URL(page, root)
      const text = await readFile(from, 'utf8')
      for (const [, target] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
        const to = new URL(target!, from)
        const isPage = to.pathname.endsWith('.md')
        const linked = await readFile(to, 'utf8').catch((error) => (error.code === 'EISDIR' ? '' : null))
        const anchors = (linked ?? '').matchAll(/^#+ (.*)$/gm)
        const known = [...anchors].map(([, heading]) =>
          heading!
            .toLowerCase()
            .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
            .replaceAll(' ', '-'),
        )
        const isThere = linked !== null && (to.hash === '' || !isPage || known.includes(to.hash.slice(1)))
        if (!isThere) broken.push(`${page}: ${target}`)
      }
    }
    expect(broken).toEqual([])
  })
})
