import { Worker } from 'node:worker_threads'
import { afterEach, expect, it } from 'vitest'
import { MemoryStore } from '../helpers/memory-store.ts'
import { directoriesOf } from './file-sizes.ts'
import { backUpFrom } from './sets.ts'

const MIB = 1024 * 1024
const { postMessage } = Worker.prototype
afterEach(() => {
  Worker.prototype.postMessage = postMessage
})

/** Ends a thread instead of telling it something for the `number`th time. */
function killAtMessage(number: number): void {
  let count = 0
  Worker.prototype.postMessage = function (...args) {
    if (++count === number) void this.terminate()
    else postMessage.apply(this, args)
  }
}

it.each([1, 5])(
  'a backup whose thread dies at message %i fails, and leaves nothing',
  async (number) => {
    const dirs = await directoriesOf([3 * MIB, 3 * MIB, 3 * MIB, 3 * MIB])
    const store = new MemoryStore()
    killAtMessage(number)
    await expect(backUpFrom(dirs, { store, compression: 'none' })).rejects.toMatchObject({
      code: 'E_FAILED',
      message: 'the thread that hashes has ended',
    })
    expect([...store.files.keys()]).toEqual([])
    Worker.prototype.postMessage = postMessage
    const { result } = await backUpFrom(dirs, { store, compression: 'none' })
    expect(result.shards).toHaveLength(4)
  },
)
