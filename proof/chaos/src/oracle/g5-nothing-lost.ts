import type { RunPicture } from '../arena/ledger-picture.ts'
import { type Against, type Case, isTerminal, show } from './case.ts'
import type { Answered } from './sections.ts'

/** G5: every delivery ends; what is acknowledged is there; what was started ends, or is found by the sweep, once. */
export function judgeNothingLost(one: Case, against: Against): void {
  judgeAcknowledgements(one, against)
  judgeDeliveries(one, against)
  judgeWorks(one, against)
  judgeLeftOver(one, against)
}

function judgeAcknowledgements({ answers, settled, rules }: Case, against: Against): void {
  for (const answered of answers) {
    const { answer, deliveryId } = answered
    if (answer.kind !== 'executed') continue
    const isAcknowledged = answer.settlement === 'settled' || answer.settlement === 'already_settled'
    if (isAcknowledged && !settled.has(answer.fence)) {
      against('G5', `${deliveryId} was told ${answer.settlement}, and the ledger knows nothing of it`)
    }
    if (answer.settlement === 'unconfirmed' && !rules.mayBeUnconfirmed?.(answered)) {
      against('G5', `${deliveryId}: the settlement of fence ${answer.fence} was given up`)
    }
  }
}

function judgeDeliveries({ answers, evidence }: Case, against: Against): void {
  const ofDelivery = Map.groupBy(answers, (answer) => answer.deliveryId)
  for (const { deliveryId, isComplete, open } of evidence.deliveries.values()) {
    if (!isComplete || open > 0) against('G5', `${deliveryId} never came to an end`)
    else if (!ofDelivery.get(deliveryId)?.some(isEnd)) {
      against('G5', `${deliveryId} ended without an answer that ends it`)
    }
  }
}

function isEnd({ answer }: Answered): boolean {
  return answer.kind === 'executed' || (answer.kind === 'skipped' && answer.action === 'discard')
}

function judgeWorks({ answers, evidence, byWork, settled }: Case, against: Against): void {
  // Excused is only the work that was told so; whether it might have been is judged with its answers.
  const given = new Set(
    answers.flatMap(({ answer, work }) =>
      answer.kind === 'executed' && answer.settlement === 'unconfirmed' ? [work] : [],
    ),
  )
  for (const work of new Set([...evidence.deliveries.values()].map((record) => record.work))) {
    const isDone = byWork.get(work)?.some((section) => isTerminal(section) && settled.has(section.fence))
    if (!isDone && !given.has(work)) against('G5', `no attempt of ${work} was ever settled for good`)
  }
}

function judgeLeftOver(one: Case, against: Against): void {
  const { runs, leftRunning, heldByLiving, heldClaims, sweptAgain } = one.evidence.ledger
  for (const run of runs) {
    if (run.status === 'running') against('G5', `run ${run.id} is running after the sweep`)
    else if (run.status !== 'completed' && !mayWait(run, one)) {
      against('G5', `run ${run.id} was left ${run.status}, and none of its deliveries is due: ${show(run)}`)
    }
  }
  for (const { id, fence, deliveryId, pid } of leftRunning) {
    if (isUnheardOf(fence, one) || cameTooLate(fence, pid, one)) continue
    against('G5', `run ${id} was left running under fence ${fence}, and ${deliveryId} has come to an end`)
  }
  for (const { fence, workerId } of heldByLiving) {
    against('G5', `fence ${fence} is held by worker ${workerId}, which lives and executes nothing`)
  }
  if (heldClaims > 0) against('G5', `${heldClaims} claims are held after the sweep`)
  if (sweptAgain > 0) against('G5', `a second sweep found ${sweptAgain} runs`)
}

/** The queue has run empty. What threw had a retry; only what was lost with a connection may wait for nobody. */
function mayWait({ status, fence, history }: RunPicture, one: Case): boolean {
  const last = history.at(-1)
  return (
    status === 'retrying' && last?.outcome === 'lost' && last.fence === fence && isUnheardOf(last.fence, one)
  )
}

/** A statement that was on its way when its process was killed: the server carries it out whenever it reads it. */
function cameTooLate(fence: number, pid: number, { byFence, evidence }: Case): boolean {
  const wasKilled = evidence.crew.interruptions.some((one) => one.kind === 'killed' && one.pid === pid)
  return wasKilled && !byFence.has(fence)
}

/** Its admission committed when nobody waited for it any more, or its settlement was given up. */
function isUnheardOf(fence: number, { byFence, toldOf, rules }: Case): boolean {
  const told = toldOf.get(fence)?.answer
  const isGivenUp = told?.kind === 'executed' && told.settlement === 'unconfirmed'
  return isGivenUp || (rules.losesReplies === true && !byFence.has(fence))
}
