// What the benchmarks share: programs timed with their CPU and memory, medians of runs that alternate, rows, and a table.
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { totalmem } from 'node:os'

const TIME = '/usr/bin/time'

/**
 * Runs a program and returns what it cost: seconds of clock and of CPU, and its peak memory in MiB where the system tells.
 * Its standard output goes nowhere, or into the file `output`; with `input`, a file is its standard input. It is to end with the code
 * `ends`.
 */
export async function timed(command, args, { input, output, ends = 0, ...options } = {}) {
  const withTime = existsSync(TIME)
  const words = withTime ? [TIME, '-f', '%U %S %M', command, ...args] : [command, ...args]
  const files = [input && openSync(input, 'r'), output && openSync(output, 'w')]
  const stdio = [...files.map((file) => file ?? 'ignore'), 'pipe']
  const start = performance.now()
  const child = spawn(words[0], words.slice(1), { stdio, ...options })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-4000)
  })
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const seconds = (performance.now() - start) / 1000
  for (const file of files) if (file !== undefined) closeSync(file)
  if (code !== ends) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${said}`)
  const [user = 0, system = 0, kib = 0] = withTime
    ? (said.trim().split('\n').at(-1) ?? '').split(' ').map(Number)
    : []
  return { seconds, cpu: user + system, memory: kib / 1024 }
}

/** Runs work of this process and returns the seconds of clock it took. */
export async function clocked(work) {
  const start = performance.now()
  await work()
  return { seconds: (performance.now() - start) / 1000 }
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/**
 * Runs each of `works` in turn, `times` times over, another one first each time, and returns the medians of what each cost
 * and the most memory. A work is called with the number of the round. What it costs may be a part of the time that it takes.
 */
export async function alternate(works, times) {
  const entries = Object.entries(works)
  const costs = new Map(entries.map(([name]) => [name, []]))
  for (let round = 0; round < times; round++) {
    for (let turn = 0; turn < entries.length; turn++) {
      const [name, work] = entries[(turn + round) % entries.length]
      // Nobody pays for what another one left to be written.
      spawnSync('sync')
      costs.get(name).push(await work(round))
    }
  }
  return Object.fromEntries([...costs].map(([name, runs]) => [name, middleOf(runs)]))
}

function middleOf(runs) {
  const [first] = runs
  return {
    seconds: median(runs.map(({ seconds }) => seconds)),
    ...(first.cpu !== undefined && { cpu: median(runs.map(({ cpu }) => cpu)) }),
    ...(first.memory !== undefined && { memory: Math.max(...runs.map(({ memory }) => memory)) }),
    all: runs.map(({ seconds }) => seconds),
  }
}

/**
 * A row of the table: what was done, `against` what, what both cost, the figure that counts with its unit, and its target,
 * `atMost` or `atLeast`.
 */
export function row(work, facts) {
  return { work, against: '', unit: '', ...facts }
}

/** What a run cost without the `startUp` of its program, seconds; a millisecond at least. */
export function without(startUp, cost) {
  return { ...cost, seconds: Math.max(0.001, cost.seconds - startUp) }
}

/** A row whose figure is our time as a part of theirs; `startUp` seconds are taken off ours. */
export function ratioRow(work, { ours, theirs, startUp = 0, ...facts }) {
  const own = without(startUp, ours)
  return row(work, { ours: own, theirs, figure: own.seconds / theirs.seconds, ...facts })
}

/** A row whose figure is how much we do a second: `amount` in all. */
export function rateRow(work, { ours, amount, startUp = 0, ...facts }) {
  const own = without(startUp, ours)
  return row(work, { ours: own, figure: amount / own.seconds, ...facts })
}

/** Tells whether a row reaches its target; undefined if it has none. */
export function isMet({ figure, atMost, atLeast }) {
  if (atMost !== undefined) return figure <= atMost
  return atLeast === undefined ? undefined : figure >= atLeast
}

/** What stands under the figures: they mean little without the machine. */
export function machine() {
  const cpu = spawnSync('sh', ['-c', "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2; nproc"])
  const [model = '', cores = ''] = cpu.stdout.toString().split('\n')
  const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GiB of memory`
  return `${model.trim()}, ${cores.trim()} cores, ${memory}, Node ${process.versions.node}`
}

/** Prints the rows of benchmarks as one table. */
export function printRows(rows, style) {
  const titles = ['work', 'against', 'ours s', 'other s', 'figure', '', 'target', '']
  printTable(
    [...titles, 'CPU', 'other CPU', 'MiB'],
    rows.map((one) => {
      const { work, against, ours, theirs, figure, unit } = one
      return [
        ...[work, against, text(ours?.seconds, 2), text(theirs?.seconds, 2)],
        ...[text(figure, figure >= 100 ? 0 : 2), unit, targetOf(one), verdictOf(one)],
        ...[text(ours?.cpu, 1), text(theirs?.cpu, 1), text(ours?.memory, 0)],
      ]
    }),
    style,
  )
}

function text(number, digits) {
  return number === undefined ? '' : number.toFixed(digits)
}

function targetOf({ atMost, atLeast }) {
  if (atMost !== undefined) return `≤ ${atMost}`
  return atLeast === undefined ? '' : `≥ ${atLeast}`
}

function verdictOf(one) {
  const met = isMet(one)
  return met === undefined ? '' : met ? 'met' : 'missed'
}

/** Prints rows of text under their titles: words to the left, numbers to the right, or as a table of Markdown. */
export function printTable(titles, rows, { markdown } = {}) {
  if (markdown) {
    for (const cells of [titles, titles.map(() => '---'), ...rows]) {
      console.log(`| ${cells.map((cell) => cell.trim()).join(' | ')} |`)
    }
    return
  }
  const lines = [titles, ...rows]
  const widths = titles.map((_, i) => Math.max(...lines.map((cells) => cells[i].length)))
  const isNumber = titles.map((_, i) => rows.every((cells) => /^[\d.]*$/.test(cells[i])))
  for (const cells of lines) {
    const padded = cells.map((cell, i) =>
      isNumber[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i]),
    )
    console.log(padded.join('  ').trimEnd())
  }
}
