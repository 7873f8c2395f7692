import { describe, expectTypeOf, it } from 'vitest'
import { type Generator, integer, oneOf, uuid } from '../src/plan/generators.ts'
import { ref, through } from '../src/plan/reference.ts'
import { table, tableOf } from '../src/plan/table.ts'

const workspaces = table('app.workspaces', {
  count: 2,
  columns: { id: uuid.v4(), name: 'one', seats: integer(1, 9) },
})

describe('the types of a plan', () => {
  it('give a child row the columns of its parent', () => {
    table('app.tenants', {
      per: workspaces,
      count: ({ parent }) => parent.seats,
      columns: {
        id: uuid.v4(),
        workspace_id: ({ parent }) => {
          expectTypeOf(parent).toEqualTypeOf<Readonly<{ id: string; name: string; seats: number }>>()
          return parent.id
        },
        // @ts-expect-error: not a column of the parent
        slug: ({ parent }) => parent.slug,
      },
    })
  })

  it('have no parent where there is none', () => {
    table('app.tenants', {
      count: 1,
      columns: {
        id: ({ parent, index, random }) => {
          expectTypeOf(parent).toEqualTypeOf<null>()
          return index + random.uint32()
        },
      },
    })
  })

  it('let a reference name only columns that the table has, with their type', () => {
    expectTypeOf(ref(workspaces, 'seats')).toExtend<Generator<number>>()
    expectTypeOf(ref(workspaces)).toExtend<Generator<string>>()
    // @ts-expect-error: not a column of the table
    ref(workspaces, 'slug')
  })

  it('let explicit rows give only columns of the plan', () => {
    table('app.workspaces', { columns: { id: uuid.v4(), name: 'x' }, rows: [{ name: 'y' }] })
    // @ts-expect-error: not a column of the plan
    table('app.workspaces', { columns: { id: uuid.v4(), name: 'x' }, rows: [{ nme: 'y' }] })
  })

  it('check the columns against a row type of the host', () => {
    interface NewTenant {
      id: string
      workspace_id: string
      state: 'open' | 'closed'
      note?: string | null
    }
    const tenants = tableOf<NewTenant>()('app.tenants', {
      per: workspaces,
      count: 1,
      columns: {
        id: uuid.v4(),
        workspace_id: ({ parent }) => parent.id,
        state: oneOf(['open', 'closed']),
      },
    })
    expectTypeOf(ref(tenants, 'state')).toExtend<Generator<'open' | 'closed'>>()

    tableOf<NewTenant>()('app.tenants', {
      count: 1,
      // @ts-expect-error: `state` is missing
      columns: { id: uuid.v4(), workspace_id: through('x', 'y') },
    })
    tableOf<NewTenant>()('app.tenants', {
      count: 1,
      // @ts-expect-error: `state` has no such value
      columns: { id: uuid.v4(), workspace_id: ref('app.workspaces'), state: 'shut' },
    })
  })
})
