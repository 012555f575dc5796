import { create } from '@bufbuild/protobuf'
import type { Data } from './meta_pb.gen.ts'
import { ContinuousQueryInfoSchema, UserInfoSchema, UserPrivilegeSchema } from './meta_pb.gen.ts'
import { findDatabase } from './select.ts'

/** Adds a continuous query to a database of a store, in place. A database that is not there gets none. */
export function addContinuousQuery(
  data: Data,
  database: string,
  info: { readonly name: string; readonly query: string },
): void {
  const found = findDatabase(data, database)
  found?.continuousQueries.push(create(ContinuousQueryInfoSchema, info))
}

/** Adds a user without rights to a store, in place. */
export function addUser(
  data: Data,
  info: { readonly name: string; readonly hash: string; readonly admin: boolean },
): void {
  data.users.push(create(UserInfoSchema, info))
}

/**
 * Gives a user of a store a right on a database, in place.
 * @param privilege as the metastore counts: 1 read, 2 write, 3 all
 */
export function setPrivilege(
  data: Data,
  userName: string,
  { database, privilege }: { readonly database: string; readonly privilege: number },
): void {
  const user = data.users.find(({ name }) => name === userName)
  if (user === undefined) return
  const others = user.privileges.filter((each) => each.database !== database)
  user.privileges = [...others, create(UserPrivilegeSchema, { database, privilege })]
}
