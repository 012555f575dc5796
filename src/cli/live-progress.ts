import type { Ora } from 'ora'
import type { ProgressEvent, ShardLabel } from '../operations/progress.ts'
import type { TextStream } from './context.ts'
import type { Estimate, Standing } from './estimate.ts'
import { Estimator } from './estimate.ts'
import { formatBytes, formatDuration, formatNumberOf, formatRate } from './format.ts'
import type { Renderer } from './progress-lines.ts'
import { formatEvent, formatShard } from './progress-lines.ts'
import { wrapFor } from './wrap.ts'

/** Room for the spinner, a space, and the last column, which wraps in some terminals. */
const MARGIN = 3
const SEPARATOR = ' · '
/** As wide as the spinner and the space behind it. */
const INDENT = '  '
/** Shards that have a line of their own. */
const SHOWN = 4

/** Joins the parts that fit into `width` columns, the first always. */
function joinWithin(parts: readonly string[], width: number): string {
  let line = ''
  for (const part of parts) {
    const longer = line === '' ? part : line + SEPARATOR + part
    if (longer.length <= width || line === '') line = longer
  }
  return line.slice(0, Math.max(width, 1))
}

/** The figures of a run, or of a shard, the most important first. */
function figuresOf(standing: Standing, about: boolean, silent?: number): string[] {
  const { bytes, totalBytes, rate, remaining } = standing
  // What has grown past its size of before is of a size that nobody knows.
  const isKnown = totalBytes !== undefined && !(about && bytes > totalBytes)
  const total = isKnown ? ` of ${about ? 'about ' : ''}${formatBytes(totalBytes)}` : ''
  const figures = [`${formatBytes(bytes)}${total}`]
  if (silent !== undefined) return [...figures, `waiting for ${formatDuration(silent)}`]
  if (rate !== undefined) figures.push(formatRate(rate))
  if (remaining !== undefined) figures.push(`ETA ${formatDuration(remaining)}`)
  return figures
}

/** What is shown while a run works. */
export interface LiveState {
  readonly task: string
  readonly estimate: Estimate
  readonly running: readonly (Standing & { readonly shard: ShardLabel })[]
}

/** Returns the lines of a run, each at most `width` columns: all of it, and the shards that are worked on, if there are several. */
export function formatLive({ task, estimate, running }: LiveState, width: number): string[] {
  const { unit, shardsDone, shards, about, silent, remaining } = estimate
  const count = `${task} ${shardsDone}/${formatNumberOf(shards, unit)}`
  if (unit === 'set') {
    const eta = remaining === undefined ? [] : [`ETA ${formatDuration(remaining)}`]
    return [joinWithin([count, ...eta], width)]
  }
  const parts = [count, ...figuresOf(estimate, about, silent)]
  if (shards === 1) {
    const names = running.map(({ shard }) => `shard ${formatShard(shard)}`)
    return [joinWithin([...parts, ...names], width)]
  }
  const lines = running
    .slice(0, SHOWN)
    .map((standing) => joinWithin(shardParts(standing, { about, width }), width))
  const more = running.length - lines.length
  return [joinWithin(parts, width), ...lines, ...(more > 0 ? [`and ${more} more`] : [])]
}

/** The names of a shard are left out where its bytes would not fit beside them. */
function shardParts(
  { shard, ...standing }: LiveState['running'][number],
  { about, width }: { readonly about: boolean; readonly width: number },
): string[] {
  const figures = figuresOf(standing, about)
  const named = `shard ${formatShard(shard)}`
  const isRoom = named.length + SEPARATOR.length + (figures[0] ?? '').length <= width
  return [isRoom ? named : `shard ${shard.shardId}`, ...figures]
}

/** Returns a renderer of some live lines on a terminal; finished shards and notes stay above it. */
export function liveRenderer(stream: TextStream, color: boolean): Renderer {
  let estimator = new Estimator(Date.now())
  let [task, isStep] = ['', false]
  let spinner: Ora | undefined
  let timer: NodeJS.Timeout | undefined
  let starting: Promise<void> | undefined
  let stopped = false

  const draw = () => {
    if (spinner === undefined) return
    const now = Date.now()
    const state = { task, estimate: estimator.at(now), running: estimator.running(now) }
    const lines = formatLive(state, (stream.columns ?? 80) - MARGIN)
    spinner.text = lines.join(`\n${INDENT}`)
  }
  const start = async () => {
    // 120 ms to load, and most commands never show a live line.
    const { default: ora } = await import('ora')
    if (stopped) return
    // discardStdin would put the terminal into raw mode and take Ctrl-C away from us.
    spinner = ora({ stream, isEnabled: true, discardStdin: false, color: color && 'cyan' })
    draw()
    spinner.start()
    timer = setInterval(draw, 200)
    timer.unref()
  }
  const say = (line: string) => {
    spinner?.clear()
    stream.write(`${wrapFor(stream, line)}\n`)
    spinner?.render()
  }
  const report = (event: ProgressEvent) => {
    if (event.type === 'plan') estimator = new Estimator(Date.now())
    estimator.take(event, Date.now())
    if (event.type === 'plan') {
      task = event.task
      isStep = event.isStep ?? false
      // What cannot be shown ends no run.
      starting ??= start().catch(() => {
        spinner = undefined
      })
    }
    const line = isStep && event.type !== 'note' ? undefined : formatEvent(event)
    if (line !== undefined) say(line)
  }
  const stop = async () => {
    stopped = true
    await starting
    clearInterval(timer)
    spinner?.stop()
    spinner = undefined
  }
  return { report, stop }
}
