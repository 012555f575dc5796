// What the benchmarks share: programs timed with their CPU and memory, medians of runs that alternate, and a table.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

const TIME = '/usr/bin/time'

/** What one run of a program cost: seconds of clock and of CPU, and its peak memory in MiB where the system tells. */
export async function timed(command, args, options = {}) {
  const withTime = existsSync(TIME)
  const words = withTime ? [TIME, '-f', '%U %S %M', command, ...args] : [command, ...args]
  const start = performance.now()
  const child = spawn(words[0], words.slice(1), { stdio: ['ignore', 'ignore', 'pipe'], ...options })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-4000)
  })
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const seconds = (performance.now() - start) / 1000
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${said}`)
  const [user = 0, system = 0, kib = 0] = withTime
    ? (said.trim().split('\n').at(-1) ?? '').split(' ').map(Number)
    : []
  return { seconds, cpu: user + system, memory: kib / 1024 }
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Runs each of `works` in turn, `times` times over, and returns the medians of what each cost. */
export async function alternate(works, times) {
  const costs = new Map(Object.keys(works).map((name) => [name, []]))
  for (let round = 0; round < times; round++) {
    for (const [name, work] of Object.entries(works)) costs.get(name).push(await work(round))
  }
  return Object.fromEntries(
    [...costs].map(([name, runs]) => [
      name,
      {
        seconds: median(runs.map(({ seconds }) => seconds)),
        cpu: median(runs.map(({ cpu }) => cpu)),
        memory: Math.max(...runs.map(({ memory }) => memory)),
      },
    ]),
  )
}

/** What stands under the figures: they mean little without the machine. */
export function machine() {
  const cpu = spawnSync('sh', ['-c', "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2; nproc"])
  const [model = '', cores = ''] = cpu.stdout.toString().split('\n')
  return `${model.trim()}, ${cores.trim()} cores, Node ${process.versions.node}`
}

/** Prints rows of text under their titles, numbers to the right. */
export function printTable(titles, rows) {
  const widths = titles.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i].length)),
  )
  for (const row of [titles, ...rows]) {
    console.log(
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join('  '),
    )
  }
}
