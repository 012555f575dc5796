// Putting times in order. Points are moved by their index, so that one order serves times and values of any type.

/** Returns 1 if the `count` times at `src` are strictly ascending. */
export function isAscending(src: usize, count: i32): i32 {
  const end = src + (<usize>count << 3)
  for (let ptr = src + 8; ptr < end; ptr += 8) {
    if (load<i64>(ptr) <= load<i64>(ptr - 8)) return 0
  }
  return 1
}

/**
 * Merges two strictly ascending runs that lie one after the other at `src`: `older` times, then `newer`. Writes the
 * u32 indices of the merged order to `dst` and returns their count; at equal times the newer run's index stands.
 */
export function mergeTimes(src: usize, older: i32, newer: i32, dst: usize): i32 {
  let a: i32 = 0
  let b = older
  const end = older + newer
  let out = dst
  while (a < older && b < end) {
    const left = load<i64>(src + (<usize>a << 3))
    const right = load<i64>(src + (<usize>b << 3))
    if (left == right) a++
    store<u32>(out, left < right ? a++ : b++)
    out += 4
  }
  for (; a < older; out += 4) store<u32>(out, a++)
  for (; b < end; out += 4) store<u32>(out, b++)
  return <i32>((out - dst) >> 2)
}

/**
 * Writes the u32 indices of the `count` times at `src` in ascending order to `dst`, of equal times only the last;
 * returns their count. `spare` has room for another `count` indices.
 */
export function sortTimes(src: usize, count: i32, dst: usize, spare: usize): i32 {
  for (let i: i32 = 0; i < count; i++) store<u32>(dst + (<usize>i << 2), i)
  let from = dst
  let to = spare
  for (let width: i32 = 1; width < count; width <<= 1) {
    for (let low: i32 = 0; low < count; low += width << 1) {
      mergeIndices(src, from, to, low, min(low + width, count), min(low + (width << 1), count))
    }
    const swap = from
    from = to
    to = swap
  }
  return keepLast(src, count, from, dst)
}

function timeAt(src: usize, indices: usize, i: i32): i64 {
  return load<i64>(src + (<usize>load<u32>(indices + (<usize>i << 2)) << 3))
}

// Merges the sorted indices [low, middle) and [middle, high) of `from` to `to`; equal times stay in their order.
function mergeIndices(src: usize, from: usize, to: usize, low: i32, middle: i32, high: i32): void {
  let a = low
  let b = middle
  for (let i = low; i < high; i++) {
    const left = b >= high || (a < middle && timeAt(src, from, a) <= timeAt(src, from, b))
    store<u32>(to + (<usize>i << 2), load<u32>(from + (<usize>(left ? a : b) << 2)))
    if (left) a++
    else b++
  }
}

function keepLast(src: usize, count: i32, from: usize, dst: usize): i32 {
  let out = dst
  for (let i: i32 = 0; i < count; i++) {
    if (i + 1 < count && timeAt(src, from, i) == timeAt(src, from, i + 1)) continue
    store<u32>(out, load<u32>(from + (<usize>i << 2)))
    out += 4
  }
  return <i32>((out - dst) >> 2)
}
