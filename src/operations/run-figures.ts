import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { lockFiles } from '../datadir/lock.ts'
import { asSnapError, errnoOf, SnapError } from '../errors.ts'
import { writeFileDurably } from '../io/durable.ts'
import { expectReplaceable } from '../io/replaceable.ts'
import { listSets } from '../portable/sets.ts'
import type { Store } from '../storage/index.ts'
import { type Family, formatExposition, parseExposition, type Sample } from './exposition.ts'

/** A run that has ended. */
export interface EndedRun {
  readonly command: string
  /** The name of the target, or where it is. */
  readonly target: string
  readonly ended: Date
  readonly durationMs: number
  readonly exitCode: number
  /** Bytes that it took, if it can be said. */
  readonly bytes?: number | undefined
}

/** The sets of a target after a run. */
export interface TargetFigures {
  readonly sets: number
  readonly oldest: Date | undefined
  readonly newest: Date | undefined
}

const RUN_FAMILIES = {
  snap_last_run_timestamp_seconds: 'When the last run ended.',
  snap_last_success_timestamp_seconds: 'When the last run that succeeded (exit 0) ended.',
  snap_last_exit_code: 'Exit code of the last run.',
  snap_last_duration_seconds: 'How long the last run took.',
  snap_last_bytes: 'Bytes of shards that the last run took.',
  snap_runs_total: 'Runs since the file was begun.',
  snap_failures_total: 'Runs that ended with another exit code than 0.',
} as const

const TARGET_FAMILIES = {
  snap_sets: 'Sets in the target.',
  snap_oldest_set_timestamp_seconds: 'When the oldest set was begun.',
  snap_newest_set_timestamp_seconds: 'When the newest set was begun.',
} as const

type FamilyName = keyof typeof RUN_FAMILIES | keyof typeof TARGET_FAMILIES

/** Scrapers are other users, and the figures hold no secret. */
const MODE = 0o644
/** No file of figures is larger: some hundred bytes for each series. */
const MAX_SIZE = 4 * 1024 * 1024
/** How long another run may hold the file, in ms, and how often is looked. */
const LOCK_WAIT = 10_000
const LOCK_POLL = 100

/** Reads how many sets a target has, and from when, by a listing alone. */
export async function readTargetFigures(store: Store, signal: AbortSignal): Promise<TargetFigures> {
  const { sets } = await listSets(store, signal)
  return { sets: sets.length, oldest: sets.at(-1)?.time, newest: sets.at(0)?.time }
}

/**
 * Writes the figures of a run into a file for the textfile collector of Prometheus. What other commands and targets have there
 * stays; runs that end at once wait for each other.
 * @param figures undefined if the target could not be read: what was known of it stays
 * @throws SnapError `E_FORMAT` if the file is of somebody else, `E_LOCKED`, `E_DESTINATION`
 */
export async function writeRunFigures(
  path: string,
  run: EndedRun,
  figures: TargetFigures | undefined,
): Promise<void> {
  await expectReplaceable(path, 'name a file, or one that is not there yet')
  const lock = await lockPatiently(`${path}.lock`)
  try {
    const known = parseExposition(await readText(path), path)
    const text = formatExposition(merge(known, seriesOf(known, run, figures)))
    await writeFileDurably(path, Buffer.from(text), { mode: MODE })
  } finally {
    await lock.release()
  }
}

/** Returns what {@link writeRunFigures} has written so far; nothing if there is no such file, or it is of somebody else. */
export async function readRunFigures(path: string): Promise<string> {
  try {
    return formatExposition(parseExposition(await readText(path), path))
  } catch (error) {
    // What is missing raises the alarm; the other figures are served all the same.
    if (error instanceof SnapError) return ''
    throw error
  }
}

async function lockPatiently(path: string) {
  const end = Date.now() + LOCK_WAIT
  for (;;) {
    try {
      return await lockFiles([path])
    } catch (error) {
      const isHeld = error instanceof SnapError && error.code === 'E_LOCKED'
      if (!isHeld || Date.now() > end) throw error
      await sleep(LOCK_POLL)
    }
  }
}

async function readText(path: string): Promise<string> {
  try {
    const bytes = await readFile(path)
    if (bytes.length <= MAX_SIZE) return bytes.toString()
    throw new SnapError('E_FORMAT', `${path}: more than ${MAX_SIZE} bytes`)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return ''
    throw asSnapError(error, 'E_DESTINATION', path)
  }
}

/** The new values, and whose they are. */
interface Series {
  readonly name: FamilyName
  readonly labels: Readonly<Record<string, string>>
  /** Undefined: the old one goes. */
  readonly value: number | undefined
}

function seriesOf(
  known: readonly Family[],
  run: EndedRun,
  figures: TargetFigures | undefined,
): Series[] {
  const { command, target, ended, durationMs, exitCode, bytes } = run
  const labels = { command, target }
  const time = ended.getTime() / 1000
  const failed = exitCode !== 0
  const countOf = (name: FamilyName) => valueIn(known, { name, labels }) ?? 0
  const ofRun = (name: FamilyName, value: number | undefined): Series => ({ name, labels, value })
  const ofTarget = (name: FamilyName, value: number | undefined): Series => ({
    ...{ name, value },
    labels: { target },
  })
  return [
    ofRun('snap_last_run_timestamp_seconds', time),
    ...(failed ? [] : [ofRun('snap_last_success_timestamp_seconds', time)]),
    ofRun('snap_last_exit_code', exitCode),
    ofRun('snap_last_duration_seconds', durationMs / 1000),
    ...(bytes === undefined ? [] : [ofRun('snap_last_bytes', bytes)]),
    ofRun('snap_runs_total', countOf('snap_runs_total') + 1),
    ofRun('snap_failures_total', countOf('snap_failures_total') + (failed ? 1 : 0)),
    ...(figures === undefined
      ? []
      : [
          ofTarget('snap_sets', figures.sets),
          ofTarget('snap_oldest_set_timestamp_seconds', secondsOf(figures.oldest)),
          ofTarget('snap_newest_set_timestamp_seconds', secondsOf(figures.newest)),
        ]),
  ]
}

function secondsOf(time: Date | undefined): number | undefined {
  return time && time.getTime() / 1000
}

function keyOf({ name, labels }: Pick<Sample, 'name' | 'labels'>): string {
  return JSON.stringify([name, Object.entries(labels).sort()])
}

function valueIn(families: readonly Family[], wanted: Pick<Sample, 'name' | 'labels'>) {
  const samples = families.flatMap((family) => family.samples)
  return samples.find((sample) => keyOf(sample) === keyOf(wanted))?.value
}

/** Puts new values in place of old ones; series of others and of later versions stay as they are. */
function merge(known: readonly Family[], series: readonly Series[]): Family[] {
  const replaced = new Set(series.map(keyOf))
  const texts: Readonly<Record<string, string>> = { ...RUN_FAMILIES, ...TARGET_FAMILIES }
  const ours = Object.entries(texts).map(([name, help]): Family => {
    const before = known.find((family) => family.name === name)?.samples ?? []
    const kept = before.filter((sample) => !replaced.has(keyOf(sample)))
    const fresh = series.flatMap((one) =>
      one.name === name && one.value !== undefined ? [{ ...one, value: one.value }] : [],
    )
    const samples = [...kept, ...fresh].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
    return { name, help, type: name.endsWith('_total') ? 'counter' : 'gauge', samples }
  })
  return [...ours, ...known.filter(({ name }) => !(name in texts))]
}
