import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { expect } from 'vitest'
import { launch, type Running } from '../helpers/run.ts'
import { ROOT } from '../helpers/sources.ts'
import { tempDir } from '../helpers/temp.ts'

/** One call that changes a file system, as `kill-at.mjs` notes it. */
export interface Call {
  readonly call: string
  readonly path: string
  /** The other name of a rename or link. */
  readonly to?: string
  /** Of a write. */
  readonly bytes?: number
}

/** A moment at which a run is killed: before a call, or when half of a write is written. */
export interface KillPoint extends Call {
  /** Counted from 1. */
  readonly at: number
  readonly half: boolean
}

/** True if every point is to be tried. */
const ALL = process.env['SLOW'] === '1'

/** So many points are tried at a time: as many as the smallest machine of a build has cores. */
const AT_A_TIME = 2

interface Seam {
  /** Gets a line for every call. */
  readonly log?: string
  readonly kill?: KillPoint
  /** Sent instead of SIGKILL, once or twice. */
  readonly stop?: { readonly signal: 'SIGINT' | 'SIGTERM'; readonly twice: boolean }
  /** Additions to the environment. */
  readonly env?: Readonly<Record<string, string>>
}

/** Starts `bin/snap.js`, which is the compiled program, with its calls counted. */
export function startCounted(
  args: readonly string[],
  { log, kill, stop, env = {} }: Seam,
): Running {
  const preload = join(ROOT, 'test/crash/kill-at.mjs')
  const words = ['--import', preload, join(ROOT, 'bin/snap.js'), ...args]
  const seam = {
    ...(log && { CRASH_LOG: log }),
    ...(kill && { CRASH_AT: String(kill.at) }),
    ...(kill?.half && { CRASH_HALF: '1' }),
    ...(stop && { CRASH_SIGNAL: stop.signal }),
    ...(stop?.twice && { CRASH_TWICE: '1' }),
  }
  const inherited = Object.entries(process.env).filter(([name]) => !/^(INFLUX|CI$)/.test(name))
  return launch(process.execPath, words, {
    env: { ...Object.fromEntries(inherited), ...env, ...seam },
  })
}

/** The points of a run that was counted, and did all in an order that a power failure cannot harm either. */
export async function pointsOf(log: string): Promise<KillPoint[]> {
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n')
  const calls = lines.map((line): Call => JSON.parse(line))
  expect(notDurable(calls)).toEqual([])
  return calls.flatMap((call, index) => {
    const point = { ...call, at: index + 1 }
    const halves = call.call === 'write' && (call.bytes ?? 0) > 1 ? [false, true] : [false]
    return halves.map((half) => ({ ...point, half }))
  })
}

/**
 * Says what a run gave a name before its bytes were on the disk, and which names were not when it ended. Names of unfinished
 * work matter only if they stay.
 */
export function notDurable(calls: readonly Call[]): string[] {
  const unsynced = { bytes: new Set<string>(), names: new Set<string>() }
  const found: string[] = []
  for (const { call, path, to = path } of calls) {
    if (call === 'write' || call === 'truncate') unsynced.bytes.add(path)
    if (call === 'open' || call === 'mkdir') unsynced.names.add(path)
    if (call === 'unlink' || call === 'rmdir' || call === 'rename') unsynced.names.delete(path)
    if (call === 'rename' || call === 'link') {
      if (unsynced.bytes.has(path)) found.push(`${to}: named before its bytes were synced`)
      unsynced.names.add(to)
    }
    if (call !== 'sync') continue
    unsynced.bytes.delete(path)
    for (const name of unsynced.names) if (dirname(name) === path) unsynced.names.delete(name)
  }
  return [...found, ...[...unsynced.names].map((name) => `${name}: its directory was not synced`)]
}

/** Runs a command to its end and returns its points. */
export async function count(args: readonly string[], env: Seam['env'] = {}): Promise<KillPoint[]> {
  const log = join(await tempDir('log'), 'calls')
  const { code, stderr } = await startCounted(args, { log, env }).finished
  expect(code, stderr).toBe(0)
  return await pointsOf(log)
}

/** Expects that a run has as many places as docs/reliability.md promises in the row of that name, and not many more. */
export async function expectPlaces(row: string, { length }: readonly KillPoint[]): Promise<void> {
  const page = await readFile(join(ROOT, 'docs/reliability.md'), 'utf8')
  const [, least] = page.replaceAll('`', '').split(`\n| ${row} | `)
  const promised = Number(/^\d+(?= \|)/.exec(least ?? '')?.[0])
  expect(length, row).toBeGreaterThanOrEqual(promised)
  expect(length, row).toBeLessThan(promised * 1.25)
}

/** Runs a command until it is killed. */
export async function killAt(
  kill: KillPoint,
  args: readonly string[],
  env: Seam['env'] = {},
): Promise<void> {
  const { signal, stderr } = await startCounted(args, { kill, env }).finished
  expect(signal, `was not killed: ${stderr}`).toBe('SIGKILL')
}

/** Which call it is, on what kind of file: of those that are equal one is tried by default, of a write half of it. */
function kindOf({ call, path, to }: KillPoint): string {
  const kind = general(path)
  // All files of a set are written alike, and named in an order that matters.
  if (to === undefined && call !== 'unlink' && kind.startsWith('SET.')) return `${call} SET`
  return [call, kind, to === undefined ? '' : general(to)].join(' ')
}

/** A path with what differs from file to file left out. */
function general(path: string): string {
  const name = basename(path)
    .replace(/^snap-\d+-.*(?=\.pending$)/, 'TEMPORARY')
    .replace(/^.*\.(?:csv|parquet|lp)\b/, 'POINTS.points')
    .replace(/\d{8}T\d{6}Z/, 'SET')
    .replace(/[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f-]{27}/, 'ID')
    .replace(/\d+/g, 'N')
  return name.includes('.') ? name : 'directory'
}

/** Kinds of points that were tried. */
const tried = new Set<string>()

/** Points that differ in what they leave: the files before a sync are those before the next call. */
function distinct(points: readonly KillPoint[]): KillPoint[] {
  return points.filter(({ call }) => call !== 'sync')
}

/** Chooses what is tried: all with SLOW=1, else one of each kind that was not tried yet, and `more`, evenly. */
function choose(points: readonly KillPoint[], more: number): readonly KillPoint[] {
  if (ALL) return points
  const kinds = new Map(distinct(points).map((point) => [kindOf(point), point] as const))
  const fresh = [...kinds].filter(([kind]) => !tried.has(kind))
  for (const [kind] of fresh) tried.add(kind)
  return [...new Set([...fresh.map(([, point]) => point), ...evenly(points, more)])]
}

/** Tries points, two at a time, and expects that each of them ends well. */
export async function tryAll(
  title: string,
  { points, more }: { readonly points: readonly KillPoint[]; readonly more: number },
  trial: (point: KillPoint) => Promise<void>,
): Promise<void> {
  const chosen = choose(points, more)
  expect(chosen).not.toEqual([])
  process.stdout.write(`${title}: ${chosen.length} of ${points.length} points\n`)
  const waiting = [...chosen]
  const failures: string[] = []
  const work = async () => {
    for (let point = waiting.shift(); point !== undefined; point = waiting.shift()) {
      const { at, call, half, path } = point
      await trial(point).catch((error: unknown) => {
        failures.push(`${at} ${call}${half ? ' (half)' : ''} ${path}: ${error}`)
      })
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, work))
  expect(failures).toEqual([])
}

/** Some points that are {@link distinct}, the first and the last not among them; all with SLOW=1. */
export function evenly(points: readonly KillPoint[], wanted: number): KillPoint[] {
  if (ALL) return [...points]
  const all = distinct(points)
  const step = all.length / (wanted + 1)
  return Array.from({ length: wanted }, (_, i) => all[Math.floor((i + 1) * step)] ?? []).flat()
}
