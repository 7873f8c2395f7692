import type { Outcome } from '../fault.ts'
import { GUARANTEES, type Guarantee } from '../oracle/judge.ts'
import { unitOf } from './units.ts'

/** What `--json` writes per fault. */
export interface FaultReport {
  readonly fault: string
  readonly title: string
  /** Why it was not injected; everything below is empty then. */
  readonly skipped: string | null
  /** What broke the fault off, other than what it looks for; null when it came to its end. */
  readonly error: string | null
  readonly injections: number
  /** What `injections` is a number of. */
  readonly unit: string
  readonly sections: number
  readonly violations: Readonly<Record<Guarantee, number>>
  /** The first few violations and complaints, in words. */
  readonly findings: readonly string[]
  readonly complaints: number
  readonly readmissionMs: { readonly median: number; readonly p99: number; readonly max: number } | null
  /** With no violation in N injections the chance of one in the next is below 3/N, 19 times out of 20. */
  readonly bound95: number | null
  readonly figures: Readonly<Record<string, number | string>>
  readonly seconds: number
}

const MAX_FINDINGS = 20

export function reportOf(
  fault: { name: string; title: string },
  outcome: Outcome,
  seconds: number,
): FaultReport {
  const violations = Object.fromEntries(GUARANTEES.map((name) => [name, 0])) as Record<Guarantee, number>
  const findings: string[] = []
  for (const ruling of outcome.rulings) {
    for (const { guarantee, what } of ruling.violations) {
      violations[guarantee]++
      if (findings.length < MAX_FINDINGS) findings.push(`${guarantee}: ${what}`)
    }
  }
  const complaints = outcome.complaints ?? []
  findings.push(...complaints.slice(0, MAX_FINDINGS))
  const isBroken = complaints.length > 0 || GUARANTEES.some((name) => violations[name] > 0)
  return {
    fault: fault.name,
    title: fault.title,
    skipped: null,
    error: null,
    injections: outcome.injections,
    unit: unitOf(fault.name),
    sections: outcome.rulings.reduce((sum, { sections }) => sum + sections.length, 0),
    violations,
    findings,
    complaints: complaints.length,
    readmissionMs: quantiles(outcome.readmissionMs ?? []),
    bound95: !isBroken && outcome.injections > 3 ? 3 / outcome.injections : null,
    figures: outcome.figures ?? {},
    seconds,
  }
}

export function skippedReport(fault: { name: string; title: string }, why: string): FaultReport {
  return { ...reportOf(fault, { injections: 0, rulings: [] }, 0), skipped: why }
}

export function brokenOffReport(
  fault: { name: string; title: string },
  error: unknown,
  seconds: number,
): FaultReport {
  const why = error instanceof Error ? (error.stack ?? error.message) : String(error)
  const report = reportOf(fault, { injections: 0, rulings: [] }, seconds)
  return { ...report, error: why, findings: [`broke off: ${why}`] }
}

/** Nothing was violated in it; of a fault that was skipped nothing is known. */
export function isClean({ violations, complaints, error }: FaultReport): boolean {
  return error === null && complaints === 0 && GUARANTEES.every((name) => violations[name] === 0)
}

/** Findings that a report counts and does not spell out. */
export function untold({ violations, complaints, findings, error }: FaultReport): number {
  const all = GUARANTEES.reduce((sum, name) => sum + violations[name], complaints)
  return Math.max(0, all - findings.length + (error === null ? 0 : 1))
}

function quantiles(values: readonly number[]) {
  if (values.length === 0) return null
  const inOrder = values.toSorted((a, b) => a - b)
  const at = (share: number) =>
    Math.round(inOrder[Math.min(inOrder.length - 1, Math.floor(share * inOrder.length))]!)
  return { median: at(0.5), p99: at(0.99), max: at(1) }
}
