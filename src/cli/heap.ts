import { getHeapStatistics, setFlagsFromString } from 'node:v8'

/** From these sizes on, in bytes, a heap may grow by so much between two collections, in percent. */
const GROWTH = [
  { from: 16 * 1024 * 1024, percent: 60 },
  { from: 48 * 1024 * 1024, percent: 25 },
] as const
/** How often it is looked at, milliseconds. */
const INTERVAL = 50

/**
 * How much a function does, in bytes of bytecode, before V8 looks whether to optimize it: 16 times as much as by default. What
 * moves bytes or blocks from one buffer to the next is called thousands of times and no faster for it: of a day that is exported
 * that was a fifth of all CPU. What works on each value is there after some milliseconds all the same.
 */
const INTERRUPT_BUDGET = 16 * 66 * 1024

/** Sets what holds from the first line on: V8 takes no code of a code cache that was made under other flags. */
export function setHeapFlags(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET}`)
}

/** Takes back what {@link watchHeap} has set since. */
export function unsetGrowth(): void {
  setFlagsFromString('--heap-growing-percent=0')
}

/**
 * Keeps the memory of this process near what it has in use: V8 lets a heap grow to four times that, which is a few hundred
 * megabytes with a target of 10,000 shards. Small heaps are left alone, as collecting them more often costs time.
 */
export function watchHeap(): void {
  setHeapFlags()
  // V8 puts the factor back to 2 for all heaps of the process when it makes the one of a thread.
  process.on('worker', (worker) => worker.once('online', setHeapFlags))
  let step = 0
  const timer = setInterval(() => {
    const size = getHeapStatistics().total_heap_size
    for (let next = GROWTH[step]; next !== undefined && size >= next.from; next = GROWTH[++step]) {
      setFlagsFromString(`--heap-growing-percent=${next.percent}`)
    }
    if (step === GROWTH.length) clearInterval(timer)
  }, INTERVAL)
  timer.unref()
}
