import { types } from 'node:util'
import { type SelectQueryBuilder, sql } from 'kysely'
import { validate } from 'uuid'
import { rightsProblem } from '../database/database-error.ts'
import type { Executor, LedgerTables } from '../database/executor.ts'
import { InvalidOptionError } from '../errors.ts'
import { assertKnownOptions } from '../known-options.ts'
import { type Run, type RunOutcome, type RunRow, type RunStatus, runFromRow } from '../run/run.ts'
import { assertText, exactScope, MAX_SCOPE_ID_LENGTH, type Scope } from '../run/scope.ts'

const DEFAULT_PAGE_SIZE = 50
const MAX_PAGE_SIZE = 500
/** As long as the longest of them, the id of a delivery. */
const MAX_FILTER_LENGTH = 255

const STATUSES: Record<RunStatus, true> = { queued: true, running: true, retrying: true, completed: true }
const OUTCOMES: Record<RunOutcome, true> = {
  pending: true,
  succeeded: true,
  partially_succeeded: true,
  failed: true,
  skipped: true,
  cancelled: true,
}
const LIST_OPTIONS: Record<keyof Page, true> = {
  type: true,
  status: true,
  outcome: true,
  reasonCode: true,
  deliveryId: true,
  createdAfter: true,
  createdBefore: true,
  limit: true,
  cursor: true,
}

/**
 * All that is given must hold. Scope and time, type and time, delivery and open runs have an index; the other fields
 * are best narrowed by time.
 */
export interface RunFilter {
  readonly type?: string
  readonly status?: RunStatus
  readonly outcome?: RunOutcome
  readonly reasonCode?: string
  /** The queue's job id: what became of this delivery? */
  readonly deliveryId?: string
  /** Exclusive, by the database's clock. */
  readonly createdAfter?: Date
  /** Exclusive. */
  readonly createdBefore?: Date
}

/** A filter, and which part of what it finds. */
export interface Page extends RunFilter {
  /** Runs per page, 1 to 500. @default 50 */
  readonly limit?: number
  /** `nextCursor` of the page before. */
  readonly cursor?: string
}

/** A part of a list. Runs that are opened while it is paged through are on none of the later pages. */
export interface RunPage {
  /** Newest first. */
  readonly runs: readonly Run[]
  /** Null on the last page. */
  readonly nextCursor: string | null
}

/**
 * What operators ask. A scope without a tenant sees the workspace's own (system) runs; `acrossTenants` is the door to
 * every tenant of the workspace. A run of another scope is not found. A misspelt scope or filter would show what nobody
 * asked for: all of them throw InvalidOptionError for names they do not know and for values that cannot be.
 */
export interface Reads {
  /** Null when the scope has no such run, and for what is no UUID. */
  get(scope: Scope, runId: string): Promise<Run | null>
  /** Newest first. */
  list(scope: Scope, page?: Page): Promise<RunPage>
  /** Runs that have not ended: queued, running, retrying. Newest first, 50 unless `limit` says otherwise, no further pages. */
  openRuns(scope: Scope, page?: Pick<Page, 'limit' | 'type'>): Promise<Run[]>
  /** Every tenant's runs in a workspace; for operators of the workspace, never for a tenant's own page. */
  readonly acrossTenants: {
    get(workspaceId: string, runId: string): Promise<Run | null>
    /** By `type` it reads an index in order; without one it sorts the workspace's runs, so narrow it by time. */
    list(workspaceId: string, page?: Page): Promise<RunPage>
    openRuns(workspaceId: string, page?: Pick<Page, 'limit' | 'type'>): Promise<Run[]>
  }
}

type Query = SelectQueryBuilder<LedgerTables, 'operation_run', { run: RunRow; cursor: string }>

export function createReads(executor: Executor, ready: () => Promise<unknown>): Reads {
  const runs = (): Query =>
    executor.kysely
      .selectFrom('operation_run')
      .select([
        sql<RunRow>`to_jsonb(operation_run)`.as('run'),
        sql<string>`to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US')`.as('cursor'),
      ]) as unknown as Query

  const inScope = (scope: Scope): Query => {
    const { workspaceId, tenantId } = exactScope(scope)
    const query = runs().where('workspace_id', '=', workspaceId)
    if (tenantId !== null) return query.where('tenant_id', '=', tenantId)
    // All of them are null; but only when it is said does the planner know that the index is in the right order.
    return query.where('tenant_id', 'is', null).orderBy('tenant_id', 'desc')
  }
  const inWorkspace = (workspaceId: string): Query => {
    assertText('workspaceId', workspaceId, MAX_SCOPE_ID_LENGTH)
    return runs().where('workspace_id', '=', workspaceId)
  }

  const rowsOf = (query: Query) =>
    query.execute().catch((error) => {
      throw rightsProblem(error, 'reading runs')
    })

  const get = async (query: Query, runId: string): Promise<Run | null> => {
    if (typeof runId !== 'string') throw new InvalidOptionError('runId', runId, 'the id of a run')
    await ready()
    if (!validate(runId)) return null
    const [row] = await rowsOf(query.where('id', '=', runId))
    return row === undefined ? null : runOf(row)
  }

  const list = async (query: Query, page: Page = {}): Promise<RunPage> => {
    assertKnownOptions('list', page, Object.keys(LIST_OPTIONS))
    assertFilter(page)
    const limit = pageSize(page.limit)
    const from = page.cursor === undefined ? null : parseCursor(page.cursor)
    await ready()
    let filtered = filter(query, page)
    if (from !== null) {
      const { createdAt, id } = from
      filtered = filtered.where(
        sql<boolean>`(created_at, id) < (${createdAt}::timestamp at time zone 'utc', ${id}::uuid)`,
      )
    }
    const rows = await rowsOf(
      filtered
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit + 1),
    )
    const shown = rows.slice(0, limit)
    const last = shown.at(-1)
    return {
      runs: shown.map(runOf),
      nextCursor: rows.length > limit && last !== undefined ? `${last.cursor}~${last.run.id}` : null,
    }
  }

  const openRuns = async (query: Query, page: Pick<Page, 'limit' | 'type'> = {}): Promise<Run[]> => {
    assertKnownOptions('openRuns', page, ['type', 'limit'])
    assertFilter(page)
    const limit = pageSize(page.limit)
    await ready()
    const rows = await rowsOf(
      filter(query, { type: page.type })
        .where('completed_at', 'is', null)
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit),
    )
    return rows.map(runOf)
  }

  return {
    get: async (scope, runId) => get(inScope(scope), runId),
    list: async (scope, page) => list(inScope(scope), page),
    openRuns: async (scope, page) => openRuns(inScope(scope), page),
    acrossTenants: {
      get: async (workspaceId, runId) => get(inWorkspace(workspaceId), runId),
      list: async (workspaceId, page) => list(inWorkspace(workspaceId), page),
      openRuns: async (workspaceId, page) => openRuns(inWorkspace(workspaceId), page),
    },
  }
}

/** @throws InvalidOptionError for what Postgres would refuse, and for what no run can have */
function assertFilter(filter: RunFilter): void {
  for (const name of ['type', 'reasonCode', 'deliveryId'] as const) {
    if (filter[name] !== undefined) assertText(name, filter[name], MAX_FILTER_LENGTH)
  }
  for (const [name, known] of [
    ['status', STATUSES],
    ['outcome', OUTCOMES],
  ] as const) {
    const value: unknown = filter[name]
    const names = Object.keys(known)
    if (value !== undefined && !names.includes(value as string)) {
      throw new InvalidOptionError(name, value, names.join(', '))
    }
  }
  for (const name of ['createdAfter', 'createdBefore'] as const) {
    const value: unknown = filter[name]
    if (value === undefined) continue
    // Years that Postgres reads as JavaScript writes them.
    const year = types.isDate(value) ? value.getUTCFullYear() : Number.NaN
    if (!(year >= 1 && year <= 9999)) {
      throw new InvalidOptionError(name, value, 'a valid Date, in the years 1 to 9999')
    }
  }
}

function filter(query: Query, page: RunFilter): Query {
  let filtered = query
  if (page.type !== undefined) filtered = filtered.where('type', '=', page.type)
  if (page.status !== undefined) filtered = filtered.where('status', '=', page.status)
  if (page.outcome !== undefined) filtered = filtered.where('outcome', '=', page.outcome)
  if (page.reasonCode !== undefined) filtered = filtered.where('reason_code', '=', page.reasonCode)
  if (page.deliveryId !== undefined) filtered = filtered.where(ofDelivery(page.deliveryId))
  if (page.createdAfter !== undefined)
    filtered = filtered.where(sql<boolean>`created_at > ${instant(page.createdAfter)}`)
  if (page.createdBefore !== undefined) {
    filtered = filtered.where(sql<boolean>`created_at < ${instant(page.createdBefore)}`)
  }
  return filtered
}

/** Said twice, so that each half can be read from an index of its own: that of ended runs, and that of open ones. */
function ofDelivery(id: string) {
  return sql<boolean>`(completed_at is not null and delivery_id = ${id} or completed_at is null and delivery_id = ${id})`
}

function instant(date: Date) {
  return sql`${date.toISOString()}::timestamptz`
}

/** A host's driver may have its own mind about JSON. */
function runOf({ run }: { run: RunRow | string }): Run {
  return runFromRow(typeof run === 'string' ? (JSON.parse(run) as RunRow) : run)
}

function pageSize(limit = DEFAULT_PAGE_SIZE): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE_SIZE) {
    throw new InvalidOptionError('limit', limit, `a whole number from 1 to ${MAX_PAGE_SIZE}`)
  }
  return limit
}

/** Of the form that a cursor has, and in the calendar: what Postgres could not read never reaches it. */
function isInstant(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/.test(text)) return false
  const date = new Date(`${text}Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().slice(0, 19) === text.slice(0, 19)
}

/** Microseconds, as the database keeps them: a JavaScript date would skip or repeat rows of the same millisecond. */
function parseCursor(cursor: string): { createdAt: string; id: string } {
  const [createdAt, id] = String(cursor).split('~')
  if (createdAt === undefined || !isInstant(createdAt) || !validate(id)) {
    throw new InvalidOptionError('cursor', cursor, 'the `nextCursor` of a page')
  }
  return { createdAt, id: id as string }
}
