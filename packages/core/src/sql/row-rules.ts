import type { SqlFile } from '../migrations/migration.ts'

/**
 * Effect: the rules of a table that tie columns of a row together, each by its name: the row is `r`, and a rule holds
 * unless it is false. A row that breaks one is refused as by a CHECK of that name (23514, with table and constraint).
 *
 * One CHECK calls one function that knows them all. As CHECKs of the table, or rules of a domain, they would be read and
 * made ready again by each statement that writes a row, for a lone job at the price of the write itself; what a function
 * says is kept by the session.
 */
export function rowRules(table: string, rules: Readonly<Record<string, string>>): readonly SqlFile[] {
  const name = `${table}_keeps_its_rules`
  const branches = Object.entries(rules).map(([rule, holds]) => `when not (${holds}) then '${rule}'`)
  return [
    (s) => `
create function ${s}.${name}(r ${s}.${table}) returns boolean
language plpgsql immutable parallel safe as $$
declare
  v_broken text := case
    ${branches.join('\n    ')} end;
begin
  if v_broken is null then return true; end if;
  raise exception 'new row for relation "${table}" violates check constraint "%"', v_broken
    using errcode = 'check_violation', table = '${table}', constraint = v_broken;
end $$`,
    (s) => `alter table ${s}.${table} add constraint ${name} check (${s}.${name}(${table}))`,
  ]
}
