import type { PlanEvent, ProgressEvent } from '../operations/progress.ts'
import type { CliContext, TextStream } from './context.ts'
import { formatBytes, formatNumberOf } from './format.ts'
import { liveRenderer } from './live-progress.ts'
import type { OutputMode } from './output.ts'
import type { Renderer } from './progress-lines.ts'
import { formatEvent } from './progress-lines.ts'

function quietRenderer(stream: TextStream): Renderer {
  const report = (event: ProgressEvent) => {
    if (event.type === 'note' && event.level === 'error') stream.write(`${formatEvent(event)}\n`)
  }
  return { report, stop: async () => {} }
}

function plainRenderer(stream: TextStream): Renderer {
  let [shards, done, isStep] = [0, 0, false]
  const report = (event: ProgressEvent) => {
    if (event.type === 'plan') {
      ;[shards, done, isStep] = [event.shards, 0, event.isStep ?? false]
      // Sets are counted on a screen alone: a crontab mails whatever is said.
      if (event.unit === undefined)
        stream.write(`${event.task}: ${formatNumberOf(shards, 'shard')}${sizeOf(event)}\n`)
    }
    const line = isStep && event.type !== 'note' ? undefined : formatEvent(event)
    if (line === undefined) return
    if (event.type !== 'note') done++
    stream.write(event.type === 'note' ? `${line}\n` : `[${done}/${shards}] ${line}\n`)
  }
  return { report, stop: async () => {} }
}

function sizeOf({ bytes, about }: PlanEvent): string {
  if (bytes === undefined) return ''
  return `, ${about ? 'about ' : ''}${formatBytes(bytes)}`
}

/** Returns the renderer that fits the stream: none for `--quiet`, a live line on a terminal, plain lines elsewhere. */
export function createRenderer(
  stream: TextStream,
  mode: OutputMode,
  env: CliContext['env'],
): Renderer {
  if (mode.quiet) return quietRenderer(stream)
  // A terminal without a width, as under cron or script, would be redrawn without end.
  const isScreen = stream.isTTY === true && stream.columns !== 0
  if (isScreen && env['TERM'] !== 'dumb' && !env['CI']) return liveRenderer(stream, mode.color)
  return plainRenderer(stream)
}
