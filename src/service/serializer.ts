/** Returns a function that runs what it is given one after another, in order. */
export function serializer(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return async (work) => {
    const done = last.then(work)
    last = done.catch(() => {})
    return await done
  }
}
