import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import type { ForgottenWish } from '../operations/forgotten.ts'
import type { PolicyWish } from '../operations/restore-policies.ts'
import { addSettings, switchSetting, valueSetting } from './options.ts'
import { isOnLine, refuseTogether } from './settings.ts'
import { parseDuration } from './times.ts'
import { parseText } from './values.ts'

const GROUP = 'Policies, queries, users:'
const OPTIONS = {
  duration: valueSetting({
    flags: '--rp-duration <time>',
    description: 'how long restored policies keep points: 90d, or inf (default: as they did)',
    parse: parsePolicyDuration,
    group: GROUP,
  }),
  subscriptions: switchSetting({
    flags: '--subscriptions',
    description: 'restore subscriptions too: the server sends writes to where they point',
    group: GROUP,
  }),
  queries: switchSetting({
    flags: '--no-cq',
    description: 'leave continuous queries in the backup; over the network they need --http',
    group: GROUP,
  }),
  missingQueries: switchSetting({
    flags: '--missing-cq',
    description: 'with --merge: make the continuous queries that the server lacks',
    group: GROUP,
  }),
  users: switchSetting({
    flags: '--users',
    description: 'restore admins, users with rights on what is restored, and their grants',
    group: GROUP,
  }),
  usersFile: valueSetting({
    flags: '--users-file <file>',
    description: 'a new file for the new passwords of users that are made over HTTP',
    parse: parseText,
    group: GROUP,
  }),
}

/** Adds what is said of policies, continuous queries and users. */
export function addForgottenOptions(command: Command): void {
  addSettings(command, OPTIONS)
}

/** Reads what becomes of retention policies. */
export function readPolicyWish(command: Command): PolicyWish {
  return {
    duration: OPTIONS.duration.read(command),
    subscriptions: OPTIONS.subscriptions.read(command),
  }
}

/** Reads whether queries and users are restored, and where passwords go. */
export function readForgottenWish(command: Command): {
  readonly forgotten: ForgottenWish
  readonly usersFile: string | undefined
} {
  refuseTogether(command, 'missing-cq', ['no-cq'])
  const [queries, users] = [OPTIONS.queries.read(command), OPTIONS.users.read(command)]
  const usersFile = OPTIONS.usersFile.read(command)
  if (isOnLine(command, 'users-file') && !users) {
    throw new SnapError('E_USAGE', '--users-file goes with --users')
  }
  return { forgotten: { queries, users }, usersFile }
}

/**
 * Refuses what only a merge does.
 * @throws SnapError `E_USAGE`
 */
export function refuseMissingQueries(command: Command): void {
  if (OPTIONS.missingQueries.read(command))
    throw new SnapError('E_USAGE', '--missing-cq goes with --merge')
}

/** Reads the same for a merge, which makes queries only if that is asked for, and lengthens policies only where it must. */
export function readMergeForgotten(command: Command) {
  refuseTogether(command, 'merge', ['subscriptions'])
  const { forgotten, usersFile } = readForgottenWish(command)
  const make = OPTIONS.missingQueries.read(command)
  const policyDuration = OPTIONS.duration.read(command)
  return { forgotten: { ...forgotten, make }, usersFile, policyDuration }
}

/** influxd takes no policy that keeps points for less. */
const SHORTEST_MS = 3_600_000
/** A policy has an int64 of nanoseconds. */
const LONGEST_MS = 9_223_372_036_854
const NANOSECONDS_PER_MS = 1_000_000n
const FOR_EVER = 0n

function parsePolicyDuration(text: string, name: string): bigint {
  if (text.toLowerCase() === 'inf') return FOR_EVER
  const duration = parseDuration(text, name)
  if (duration >= SHORTEST_MS && duration <= LONGEST_MS)
    return BigInt(Math.round(duration)) * NANOSECONDS_PER_MS
  throw new SnapError('E_USAGE', `${name}: expected 1h to 106751d, or inf, got ${text}`)
}
