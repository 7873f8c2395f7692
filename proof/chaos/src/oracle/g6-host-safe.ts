import type { Against, Case } from './case.ts'

/** What every outage may give. */
const OUTAGE = ['database_unavailable']

/** G6: no process falls, no caller meets an error that is not the library's, no connection is left. */
export function judgeHostSafe({ evidence, answers, rules }: Case, against: Against): void {
  const { crew, marks, ledger } = evidence
  const falls = [...crew.fallen, ...marks.flatMap((mark) => (mark.mark === 'fell' ? [mark.why] : []))]
  for (const why of falls) if (!rules.mayFall?.(why)) against('G6', why)
  const expected = rules.expectedCodes ?? OUTAGE
  for (const answered of answers) {
    const { answer, deliveryId } = answered
    if (answer.kind !== 'unavailable') continue
    if (expected.includes(answer.code) || rules.mayMeet?.(answered)) continue
    against('G6', `${deliveryId} met ${answer.code}: ${answer.message}`)
  }
  if (ledger.connectionsLeft > 0) against('G6', `${ledger.connectionsLeft} connections are left`)
}
