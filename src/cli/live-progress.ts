import type { Ora } from 'ora'
import type { ProgressEvent, ShardLabel } from '../operations/progress.ts'
import type { TextStream } from './context.ts'
import type { Estimate } from './estimate.ts'
import { Estimator } from './estimate.ts'
import { formatBytes, formatDuration, formatNumberOf, formatRate } from './format.ts'
import type { Renderer } from './progress-lines.ts'
import { formatEvent, formatShard } from './progress-lines.ts'

/** Room for the spinner, a space, and the last column, which wraps in some terminals. */
const MARGIN = 3
const SEPARATOR = ' · '

/** Joins as many parts as fit into `width` columns, the first always. */
function joinWithin(parts: readonly string[], width: number): string {
  let line = ''
  for (const part of parts) {
    const longer = line === '' ? part : line + SEPARATOR + part
    if (longer.length > width && line !== '') break
    line = longer
  }
  return line.slice(0, Math.max(width, 1))
}

/** Returns the text of the live line, at most `width` columns, the most important first. */
export function formatLiveLine(
  state: {
    readonly task: string
    readonly estimate: Estimate
    /** A shard that is worked on, in words of falling length; the first that fits is shown. */
    readonly current: readonly string[]
  },
  width: number,
): string {
  const { task, estimate, current } = state
  const { shardsDone, shards, bytes, totalBytes, rate, remaining, silent } = estimate
  const total = totalBytes === undefined ? '' : ` of ${formatBytes(totalBytes)}`
  const parts = [
    `${task} ${shardsDone}/${formatNumberOf(shards, 'shard')}`,
    `${formatBytes(bytes)}${total}`,
  ]
  if (silent !== undefined) parts.push(`waiting for ${formatDuration(silent)}`)
  else if (rate !== undefined) parts.push(formatRate(rate))
  if (remaining !== undefined && silent === undefined)
    parts.push(`ETA ${formatDuration(remaining)}`)
  const line = joinWithin(parts, width)
  const isWhole = line === parts.join(SEPARATOR)
  const shard = current.find((text) => line.length + SEPARATOR.length + text.length <= width)
  return isWhole && shard !== undefined ? line + SEPARATOR + shard : line
}

function wordsFor(shard: ShardLabel, bytes: string): string[] {
  return [`shard ${formatShard(shard)} ${bytes}`, `shard ${shard.shardId} ${bytes}`]
}

/** Returns a renderer of one live line on a terminal; finished shards and notes stay above it. */
export function liveRenderer(stream: TextStream, color: boolean): Renderer {
  const estimator = new Estimator(Date.now())
  const running = new Map<bigint, ShardLabel>()
  let task = ''
  let spinner: Ora | undefined
  let timer: NodeJS.Timeout | undefined
  let starting: Promise<void> | undefined
  let stopped = false

  const draw = () => {
    if (spinner === undefined) return
    const shard = [...running.values()].at(-1)
    const current = shard ? wordsFor(shard, formatBytes(estimator.bytesOf(shard))) : []
    const state = { task, estimate: estimator.at(Date.now()), current }
    spinner.text = formatLiveLine(state, (stream.columns ?? 80) - MARGIN)
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
    stream.write(`${line}\n`)
    spinner?.render()
  }
  const report = (event: ProgressEvent) => {
    estimator.take(event, Date.now())
    if (event.type === 'plan') {
      task = event.task
      starting ??= start()
    }
    if (event.type === 'shardStart') running.set(event.shard.shardId, event.shard)
    if (event.type === 'shardDone' || event.type === 'shardSkipped')
      running.delete(event.shard.shardId)
    const line = formatEvent(event)
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
