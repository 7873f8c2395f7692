import { describe, expect, it } from 'vitest'
import {
  InvalidOptionError,
  instant,
  integer,
  oneOf,
  ref,
  serial,
  table,
  through,
  uuid,
} from '../src/index.ts'
import { make } from './support/make.ts'

const workspaces = table('app.workspaces', {
  count: 3,
  columns: { id: serial(), seats: integer(1, 9), name: ({ index }) => `Workspace ${index}` },
})

describe('the rows of a plan', () => {
  it('are the same for the same seed value, and others for another', () => {
    const plan = [workspaces, table('app.tenants', { count: 50, columns: { id: uuid.v4(), at: instant() } })]
    expect(make(plan, 5)).toEqual(make(plan, 5))
    expect(make(plan, 6)).not.toEqual(make(plan, 5))
  })

  it('keep their values when a count grows, a column is added or the tables change places', () => {
    const columns = { id: uuid.v4(), kind: oneOf(['a', 'b', 'c']) }
    const before = make([workspaces, table('app.tenants', { count: 5, columns })])['app.tenants']!
    const tenants = table('app.tenants', { count: 9, columns: { extra: integer(1, 100), ...columns } })
    const after = make([tenants, workspaces])['app.tenants']!
    expect(after.slice(0, 5).map(({ extra: _, ...row }) => row)).toEqual(before)
  })

  it('come once for each row of their parent, with the parent at hand', () => {
    const tenants = table('app.tenants', {
      per: workspaces,
      count: ({ parent }) => parent.id,
      columns: {
        workspace_id: ({ parent }) => parent.id,
        nth: ({ nth }) => nth,
        index: ({ index }) => index,
      },
    })
    expect(make([tenants, workspaces])['app.tenants']).toEqual([
      { workspace_id: 1, nth: 0, index: 0 },
      { workspace_id: 2, nth: 0, index: 1 },
      { workspace_id: 2, nth: 1, index: 2 },
      { workspace_id: 3, nth: 0, index: 3 },
      { workspace_id: 3, nth: 1, index: 4 },
      { workspace_id: 3, nth: 2, index: 5 },
    ])
  })

  it('see the columns of the same row that are written before', () => {
    const rows = make([
      table('app.users', {
        count: 1,
        columns: { name: 'Ada', mail: ({ row }) => `${row.name}@example.test` },
      }),
    ])
    expect(rows['app.users']).toEqual([{ name: 'Ada', mail: 'Ada@example.test' }])
  })

  it('that are explicit come first and keep the generated columns they leave out', () => {
    const rows = make([
      table('app.workspaces', {
        rows: [{ name: 'Acme' }],
        count: 1,
        columns: { id: serial(), name: 'other' },
      }),
    ])
    expect(rows['app.workspaces']).toEqual([
      { id: 1, name: 'Acme' },
      { id: 2, name: 'other' },
    ])
  })

  it('refer to other rows in turn or at random, and follow a reference to the same row', () => {
    const tenants = table('app.tenants', {
      count: 6,
      columns: {
        workspace_id: ref(workspaces),
        workspace_name: through('workspace_id', 'name'),
        other_id: ref('app.workspaces', 'id', { pick: 'random' }),
      },
    })
    const rows = make([tenants, workspaces])['app.tenants']!
    expect(rows.map((row) => row.workspace_id)).toEqual([1, 2, 3, 1, 2, 3])
    expect(rows.map((row) => row.workspace_name)).toEqual(
      [0, 1, 2, 0, 1, 2].map((index) => `Workspace ${index}`),
    )
    expect(rows.every((row) => [1, 2, 3].includes(Number(row.other_id)))).toBe(true)
  })

  it('follow a reference that an explicit row gives itself', () => {
    const tenants = table('app.tenants', {
      rows: [{ workspace_id: 3 }],
      columns: { workspace_id: ref(workspaces), name: through('workspace_id', 'name') },
    })
    expect(make([workspaces, tenants])['app.tenants']).toEqual([{ workspace_id: 3, name: 'Workspace 2' }])
  })

  it('refer within their own table to earlier rows only', () => {
    const folders = table('app.folders', {
      count: 5,
      columns: { id: serial(), parent_id: ref('app.folders') },
    })
    expect(make([folders])['app.folders']!.map((row) => row.parent_id)).toEqual([null, 1, 1, 2, 2])
  })

  it('of two tables may refer to each other', () => {
    const users = table('app.users', { count: 2, columns: { id: serial(), team_id: ref('app.teams') } })
    const teams = table('app.teams', { count: 2, columns: { id: serial(10), lead_id: ref('app.users') } })
    const rows = make([users, teams])
    expect(rows['app.users']!.map((row) => row.team_id)).toEqual([10, 11])
    expect(rows['app.teams']!.map((row) => row.lead_id)).toEqual([1, 2])
  })
})

describe('a table', () => {
  it.each(['tenants', 'app.', '.tenants', 'a.b.c', '"app".tenants', 'app. tenants'])(
    'is not called %s',
    (name) => {
      expect(() => table(name, { count: 1, columns: {} })).toThrow(InvalidOptionError)
    },
  )

  it.each([-1, 1.5, Number.NaN, 10_000_000])('has no count of %s', (count) => {
    expect(() => table('app.tenants', { count, columns: {} })).toThrow(InvalidOptionError)
  })

  it('says that it wants rows or a count', () => {
    expect(() => table('app.tenants', { columns: {} })).toThrow(/count of app\.tenants is undefined/)
  })
})
