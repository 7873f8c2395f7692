import { execFileSync } from 'node:child_process'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CommandOptionError } from '../../../tools/lib/command-options.ts'
import { assertWritable, writeJson } from '../../../tools/lib/json-file.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'opsledger-chaos-results-'))
  file = join(folder, 'results.json')
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('whether the file can be written', () => {
  test('is found out without a change to it, and leaves nothing beside it', () => {
    assertWritable(file)
    expect(readdirSync(folder)).toEqual([])
    writeFileSync(file, 'earlier results')
    assertWritable(file)
    expect(readFileSync(file, 'utf8')).toBe('earlier results')
    expect(readdirSync(folder)).toEqual(['results.json'])
  })

  test('is told in one line where it cannot', () => {
    mkdirSync(file)
    for (const wrong of [file, join(folder, 'nowhere', 'results.json')]) {
      const looked = () => assertWritable(wrong)
      expect(looked).toThrow(CommandOptionError)
      expect(looked).toThrow(`--json is "${wrong}"; allowed: a file that can be written; this one cannot: `)
      expect(looked).not.toThrow('\n')
    }
  })
})

describe('the results', () => {
  test('take the place of the earlier ones in one step, with nothing beside them', () => {
    writeFileSync(file, 'earlier results')
    const earlier = statSync(file).ino
    writeJson(file, { isComplete: false })
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ isComplete: false })
    // Another file under the same name: whoever had the earlier one open reads that to its end.
    expect(statSync(file).ino).not.toBe(earlier)
    expect(readdirSync(folder)).toEqual(['results.json'])
  })

  test('are for the same readers as the earlier ones', () => {
    writeFileSync(file, 'earlier results', { mode: 0o600 })
    writeJson(file, { isComplete: true })
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  test('come to where a link leads, also where nothing is there yet', () => {
    const link = join(folder, 'link.json')
    symlinkSync('results.json', link)
    assertWritable(link)
    writeJson(link, { isComplete: true })
    expect(lstatSync(link).isSymbolicLink()).toBe(true)
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ isComplete: true })
  })

  test('go to what a process calls its own output, wherever that was sent, and replace nothing there', () => {
    const script = `
      import { writeJson } from ${JSON.stringify(new URL('../../../tools/lib/json-file.ts', import.meta.url).href)}
      console.log('said before')
      writeJson('/dev/stdout', { isComplete: true })`
    const output = openSync(file, 'a')
    execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', output, 'inherit'],
    })
    expect(readFileSync(file, 'utf8')).toMatch(/^said before\n\{\n {2}"isComplete": true\n\}\n$/)
  })

  test('that cannot be written leave the earlier ones, and nothing beside them', () => {
    const link = join(folder, 'link.json')
    mkdirSync(file)
    symlinkSync(join(folder, 'nowhere', 'results.json'), link)
    expect(() => writeJson(file, {})).toThrow('EISDIR')
    expect(() => writeJson(join(folder, 'nowhere', 'results.json'), {})).toThrow('ENOENT')
    expect(readdirSync(folder).sort()).toEqual(['link.json', 'results.json'])
  })

  test('of a link are written where it leads', () => {
    const link = join(folder, 'link.json')
    writeFileSync(file, 'earlier results')
    symlinkSync(file, link)
    writeJson(link, [1])
    expect(lstatSync(link).isSymbolicLink()).toBe(true)
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual([1])
  })

  test('go to what is no file, and stay out of its folder', () => {
    const program = `import { assertWritable, writeJson } from '${new URL('../../../tools/lib/json-file.ts', import.meta.url)}'
      assertWritable('/dev/stdout')
      writeJson('/dev/stdout', [1])`
    // A pipe of the shell: what Node calls one is a socket, which nobody can open by its name.
    const command = '"$0" --input-type=module --eval "$1" | cat'
    const said = execFileSync('sh', ['-c', command, process.execPath, program], { encoding: 'utf8' })
    expect(JSON.parse(said)).toEqual([1])
    expect(readdirSync('/dev').filter((name) => name.startsWith('stdout'))).toEqual(['stdout'])
  })
})
