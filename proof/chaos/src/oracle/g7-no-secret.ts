import { SECRET, UNTOLD_SECRETS } from '../arena/secret.ts'
import type { Against, Case } from './case.ts'

/** G7: no secret in any row, in an error that a caller met, or in what a process said on its way down. */
export function judgeNoSecret({ evidence, answers }: Case, against: Against): void {
  const said = {
    'a row': evidence.ledger.text,
    'an error that a caller met': answers
      .map(({ answer }) => (answer.kind === 'unavailable' ? answer.message : ''))
      .join('\n'),
    'the last words of a process': evidence.crew.fallen.join('\n'),
  }
  const secrets = { 'the secret that the library was told': SECRET, ...UNTOLD_SECRETS }
  for (const [where, text] of Object.entries(said)) {
    for (const [name, secret] of Object.entries(secrets)) {
      if (text.includes(secret)) against('G7', `${name} is in ${where}`)
    }
  }
}
