import { SnapError } from '../errors.ts'
import type { ForgottenResult, RestoredQuery, RestoredUser } from '../operations/forgotten.ts'
import { formatNumberOf } from './format.ts'

/** Says line by line what became of continuous queries and users. */
export function forgottenLines({ continuousQueries, users }: ForgottenResult): string[] {
  return [...continuousQueries.map(queryLine), ...users.map(userLine)]
}

const QUERY_STATES: Readonly<Record<RestoredQuery['state'], string>> = {
  planned: 'would be made',
  created: 'made',
  exists: 'is there',
  left: 'not made',
}

function queryLine({ database, name, statement, state, reason }: RestoredQuery): string {
  const said = `continuous query ${name} on ${database}: ${QUERY_STATES[state]}`
  if (state === 'left') return `${said}: ${reason}: ${statement}`
  if (reason !== undefined || state === 'planned')
    return [said, ...(reason === undefined ? [] : [reason]), statement].join(': ')
  return said
}

const USER_STATES: Readonly<Record<RestoredUser['state'], string>> = {
  planned: 'would be made',
  created: 'made',
  exists: 'is there, unchanged but for new grants',
  left: 'not made',
}

function userLine({ name, isAdmin, state, grants, reason }: RestoredUser): string {
  const rights = grants.map(({ database, privilege }) => `${privilege} on ${database}`)
  const all = isAdmin ? ['admin', ...rights] : rights
  const said = `user ${name}: ${USER_STATES[state]}${all.length > 0 ? `, ${all.join(', ')}` : ''}`
  return reason === undefined ? said : `${said}: ${reason}`
}

/** The end of a run that restored all points, and not all queries and users. */
export function forgottenProblem({
  continuousQueries,
  users,
}: ForgottenResult): SnapError | undefined {
  const queries = continuousQueries.filter(({ state }) => state === 'left').length
  const failed = users.filter(({ reason }) => reason !== undefined).length
  const what = [
    ...(queries > 0
      ? [queries === 1 ? '1 continuous query' : `${queries} continuous queries`]
      : []),
    ...(failed > 0 ? [formatNumberOf(failed, 'user')] : []),
  ]
  if (what.length === 0) return undefined
  const message = `points are restored, but not ${what.join(' and ')}`
  return new SnapError('E_INCOMPLETE', message, {
    hint: 'the result has each with the reason; statements in it can be changed and sent as they are',
  })
}
