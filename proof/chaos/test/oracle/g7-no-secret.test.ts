import { describe, expect, test } from 'vitest'
import { SECRET, UNTOLD_SECRETS } from '../../src/arena/secret.ts'
import { good } from '../support/story.ts'

const secrets = Object.entries({ 'the secret that the library was told': SECRET, ...UNTOLD_SECRETS })

describe.each(secrets)('G7: %s', (name, secret) => {
  test('in a row', () => {
    const story = good()
    story.ledger.text = `(…,"api_key=${secret}")`
    expect(story.findings()).toBe(`G7: ${name} is in a row`)
  })
  test('in an error that a caller met', () => {
    const story = good().unavailable('d2', 5, 'database_unavailable', null, secret)
    expect(story.findings()).toBe(`G7: ${name} is in an error that a caller met`)
  })
  test('in the last words of a process', () => {
    const story = good().with({ mayFall: () => true })
    story.fallen.push(secret)
    expect(story.findings()).toBe(`G7: ${name} is in the last words of a process`)
  })
})
