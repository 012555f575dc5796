import type { Data, NewNames, UserInfo } from '../meta/index.ts'
import { findDatabase, rewriteContinuousQuery } from '../meta/index.ts'

/** What besides points and policies is restored. */
export interface ForgottenWish {
  /** Continuous queries of the restored databases. */
  readonly queries: boolean
  /** Admins, and users with rights on the restored databases. */
  readonly users: boolean
}

/** A continuous query under its new names. */
export interface PlannedQuery {
  /** Its new name. */
  readonly database: string
  readonly name: string
  readonly statement: string
  /** Why it is not certain what the statement has to be; undefined if it is. */
  readonly doubt: string | undefined
}

/** What a user may do with a database. */
export interface PlannedGrant {
  readonly database: string
  readonly privilege: Privilege
}

/** As GRANT says it. */
export type Privilege = 'READ' | 'WRITE' | 'ALL'

/** A user of the backup. */
export interface PlannedUser {
  readonly name: string
  /** A bcrypt hash, to be shown to nobody. */
  readonly hash: string
  readonly isAdmin: boolean
  readonly grants: readonly PlannedGrant[]
}

/** What stock restores forget. */
export interface Forgotten {
  readonly queries: readonly PlannedQuery[]
  readonly users: readonly PlannedUser[]
}

/** Plans what of a backup is restored besides points and policies, with the names that its databases get. */
export function planForgotten(
  data: Data,
  databases: readonly NewNames[],
  wish: ForgottenWish,
): Forgotten {
  return {
    queries: wish.queries ? databases.flatMap((own) => planQueries(data, own, databases)) : [],
    users: wish.users ? data.users.flatMap((user) => planUser(user, databases)) : [],
  }
}

function planQueries(data: Data, own: NewNames, databases: readonly NewNames[]): PlannedQuery[] {
  const queries = findDatabase(data, own.database)?.continuousQueries ?? []
  return queries.map(({ name, query }) => ({
    database: own.newDatabase,
    name,
    ...rewriteContinuousQuery(query, own, databases),
  }))
}

/** By the numbers of the metastore; 0 is none. */
const PRIVILEGES: ReadonlyMap<number, Privilege> = new Map([
  [1, 'READ'],
  [2, 'WRITE'],
  [3, 'ALL'],
])

/** The number of a privilege in the metastore. */
export function privilegeNumber(privilege: Privilege): number {
  return [...PRIVILEGES].find(([, word]) => word === privilege)?.[0] ?? 0
}

function planUser(
  { name, hash, admin: isAdmin, privileges }: UserInfo,
  databases: readonly NewNames[],
): PlannedUser[] {
  const grants = privileges.flatMap(({ database, privilege }) => {
    const word = PRIVILEGES.get(privilege)
    const names = databases.find((each) => each.database === database)
    return word && names ? [{ database: names.newDatabase, privilege: word }] : []
  })
  return isAdmin || grants.length > 0 ? [{ name, hash, isAdmin, grants }] : []
}

/** What a server lacks of users: those that it does not have, and grants of those that it has. */
export interface MissingUsers {
  readonly missing: readonly PlannedUser[]
  /** Users that are there, with the grants that they lack. */
  readonly known: readonly PlannedUser[]
}

/** Compares users with those of a server: there, nothing that a user has already is changed. */
export function compareUsers(users: readonly PlannedUser[], live: Data): MissingUsers {
  const there = new Map(live.users.map((user) => [user.name, user]))
  const known = users.flatMap((user) => {
    const has = there.get(user.name)
    if (has === undefined) return []
    const granted = new Set(
      has.privileges.filter(({ privilege }) => privilege > 0).map(({ database }) => database),
    )
    return [{ ...user, grants: user.grants.filter(({ database }) => !granted.has(database)) }]
  })
  return { missing: users.filter(({ name }) => !there.has(name)), known }
}

/** What became of a continuous query or a user. */
export type ForgottenState = 'planned' | 'created' | 'exists' | 'left'

/** A continuous query that is at the target now, or why not. */
export interface RestoredQuery extends Omit<PlannedQuery, 'doubt'> {
  readonly state: ForgottenState
  readonly reason?: string | undefined
}

/** A user that is at the target now, or why not. */
export interface RestoredUser {
  readonly name: string
  readonly isAdmin: boolean
  readonly state: ForgottenState
  /** The rights that it got. */
  readonly grants: readonly PlannedGrant[]
  readonly reason?: string | undefined
}

/** What became of all that stock restores forget. */
export interface ForgottenResult {
  readonly continuousQueries: readonly RestoredQuery[]
  readonly users: readonly RestoredUser[]
}

/** Says whether anything of it has to be done. */
export function hasForgotten({ queries, users }: Forgotten): boolean {
  return users.length > 0 || queries.some(({ doubt }) => doubt === undefined)
}

/** Says what became of a query. */
export function done({ doubt: _, ...query }: PlannedQuery, state: ForgottenState): RestoredQuery {
  return { ...query, state }
}

/** Says that a query stays in the backup, if there is a reason to. */
export function left(
  { doubt: _, ...query }: PlannedQuery,
  reason: string | undefined,
): RestoredQuery | undefined {
  return reason === undefined ? undefined : { ...query, state: 'left', reason }
}

/** Says what becomes of a query that the target has, or that is in doubt; undefined if it is to be made. */
export function settledQuery(query: PlannedQuery, live: Data): RestoredQuery | undefined {
  const has = findDatabase(live, query.database)?.continuousQueries.find(
    ({ name }) => name === query.name,
  )
  if (has === undefined) return left(query, query.doubt)
  if (has.query === query.statement || query.doubt !== undefined) return done(query, 'exists')
  return { ...done(query, 'exists'), reason: 'the target has one of that name with another text' }
}

/** What would be done. */
export function plannedForgotten({ queries, users }: Forgotten): ForgottenResult {
  return {
    continuousQueries: queries.map((query) => left(query, query.doubt) ?? done(query, 'planned')),
    users: users.map(({ name, isAdmin, grants }) => ({ name, isAdmin, grants, state: 'planned' })),
  }
}
