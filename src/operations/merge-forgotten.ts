import type { HttpClient } from '../client/index.ts'
import type { NewNames } from '../meta/index.ts'
import { atDestination } from './at-destination.ts'
import {
  compareUsers,
  type ForgottenResult,
  planForgotten,
  plannedForgotten,
  settledQuery,
} from './forgotten.ts'
import type { MergeOptions } from './merge-wish.ts'
import { passwordsFor } from './password-file.ts'
import type { Restorable } from './restorable.ts'
import { restoreForgotten } from './restore-forgotten.ts'
import type { OpenServer } from './server.ts'

/** What a merge knows of its two sides. */
export interface MergedSides {
  readonly backup: Restorable
  readonly names: readonly NewNames[]
  readonly server: OpenServer
  /** Undefined for a directory. */
  readonly http: HttpClient | undefined
}

/**
 * Makes the continuous queries that the target lacks, if that is asked for, else says which they are; and users with
 * their grants, if they are asked for. Nothing that is there is changed.
 */
export async function mergeForgotten(
  { backup, names, server, http }: MergedSides,
  options: MergeOptions,
): Promise<ForgottenResult> {
  const { forgotten: wish, usersFile, signal, dryRun } = options
  const { queries = false, users = false, make = false } = wish ?? {}
  const planned = planForgotten(backup.data, names, { queries, users })
  const live = await atDestination(() => server.client.metastoreBackup(signal))
  const lacking = planned.queries.filter(
    (query) => settledQuery(query, live)?.state !== 'exists' && (make || query.doubt === undefined),
  )
  const offered = plannedForgotten({ queries: lacking, users: [] })
  if (dryRun) {
    const { missing, known } = compareUsers(planned.users, live)
    return plannedForgotten({ queries: lacking, users: [...missing, ...known] })
  }
  const passwords = await passwordsFor(planned, live, { server, usersFile })
  try {
    const wanted = { queries: make ? lacking : [], users: planned.users }
    const place = { server, http, place: options.http, passwords, signal }
    const done = await restoreForgotten(wanted, place)
    return make ? done : { ...done, continuousQueries: offered.continuousQueries }
  } finally {
    await passwords?.close()
  }
}
