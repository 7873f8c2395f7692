import { type Against, type Case, show } from './case.ts'
import { overlapsIn, type Section } from './sections.ts'

/** G1: no two at once. Answers with the overlaps that the promise leaves out. */
export function judgeExclusion({ sections, rules }: Case, against: Against): [Section, Section][] {
  const exempted: [Section, Section][] = []
  for (const [earlier, later] of overlapsIn(sections)) {
    if (rules.isExempt?.(earlier, later)) exempted.push([earlier, later])
    else against('G1', `${show(earlier)} and ${show(later)} executed at the same time`)
  }
  const seen = new Set<number>()
  for (const section of sections) {
    if (seen.has(section.fence)) against('G1', `fence ${section.fence} of ${section.work} began twice`)
    seen.add(section.fence)
  }
  return exempted
}
