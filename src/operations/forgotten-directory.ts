import { addContinuousQuery, addUser, setPrivilege } from '../meta/index.ts'
import {
  compareUsers,
  done,
  type Forgotten,
  type ForgottenResult,
  hasForgotten,
  left,
  privilegeNumber,
  type RestoredQuery,
  type RestoredUser,
  settledQuery,
} from './forgotten.ts'
import type { WritableDirectory } from './served-directory.ts'

/** Writes continuous queries, users with their hashes, and grants into the metastore of a directory. */
export async function writeForgotten(
  forgotten: Forgotten,
  directory: WritableDirectory,
): Promise<ForgottenResult> {
  let continuousQueries: RestoredQuery[] = forgotten.queries.flatMap(
    (query) => left(query, query.doubt) ?? [],
  )
  let users: RestoredUser[] = []
  if (!hasForgotten(forgotten)) return { continuousQueries, users }
  await directory.changeMetadata((data) => {
    continuousQueries = forgotten.queries.map((query) => {
      const settled = settledQuery(query, data)
      if (settled !== undefined) return settled
      const { database, name, statement } = query
      addContinuousQuery(data, database, { name, query: statement })
      return done(query, 'created')
    })
    const { missing, known } = compareUsers(forgotten.users, data)
    for (const { name, hash, isAdmin: admin } of missing) addUser(data, { name, hash, admin })
    for (const { name, grants } of [...missing, ...known]) {
      for (const { database, privilege } of grants) {
        setPrivilege(data, name, { database, privilege: privilegeNumber(privilege) })
      }
    }
    const shown = (state: RestoredUser['state']) => (user: (typeof missing)[number]) => ({
      ...{ name: user.name, isAdmin: user.isAdmin, grants: user.grants, state },
    })
    users = [...missing.map(shown('created')), ...known.map(shown('exists'))]
  })
  return { continuousQueries, users }
}
