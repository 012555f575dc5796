import { describe, expect, it } from 'vitest'
import {
  addStatement,
  packShardTar,
  readShardTar,
  STATEMENT_FILE,
  type TarEntryInput,
  takeStatement,
} from '../../src/tar/index.ts'

const SHARD = { database: 'db', retentionPolicy: 'rp', shardId: 7n }
const ASKED = { since: -(2n ** 63n) }
const mtime = new Date(1000)

function entry(file: string, text: string): TarEntryInput {
  const body = Buffer.from(text)
  return { name: `db/rp/7/${file}`, size: body.length, mtime, body: [body] }
}

async function* list(...entries: TarEntryInput[]) {
  yield* entries
}

async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function* once(bytes: Uint8Array) {
  yield bytes
}

const A = entry('a.tsm', 'alpha')
const B = entry('b.tsm', 'beta')

const optionsOf = (lost: readonly string[] = []) => ({
  shard: SHARD,
  asked: ASKED,
  lost: () => lost,
})

async function take(tar: Uint8Array, changes: Partial<Parameters<typeof takeStatement>[1]> = {}) {
  const told: (readonly string[])[] = []
  const expected = { what: 'shard 7', shard: SHARD, asked: ASKED, ...changes }
  const entries = takeStatement(readShardTar(once(tar)), expected, ({ lost }) => told.push(lost))
  return { tar: await bytesOf(packShardTar(entries)), told }
}

async function statement(
  options: Parameters<typeof addStatement>[1],
  ...entries: TarEntryInput[]
): Promise<TarEntryInput> {
  for await (const last of addStatement(list(...entries), options)) {
    if (!last.name.endsWith(STATEMENT_FILE)) for await (const _ of last.body);
    else return last
  }
  throw new Error('no statement')
}

describe('the statement at the end of a snapshot', () => {
  it('is taken away again and leaves the very same tar', async () => {
    const options = optionsOf(['_00001.wal: gone'])
    const stated = await bytesOf(packShardTar(addStatement(list(A, B), options)))
    expect(stated.includes(STATEMENT_FILE)).toBe(true)
    const taken = await take(stated)
    expect(taken.tar).toEqual(await bytesOf(packShardTar([A, B])))
    expect(taken.told).toEqual([['_00001.wal: gone']])
  })

  it('is there for a shard without files', async () => {
    const stated = await bytesOf(packShardTar(addStatement(list(), optionsOf())))
    expect((await take(stated)).tar).toEqual(Buffer.alloc(1024))
  })

  it('needs no hash within a process, where all else of it is checked', async () => {
    const options = { ...optionsOf(), hashed: false }
    const last = await statement(options, A, B)
    const sent = await bytesOf(packShardTar([A, B, last]))
    expect(sent.includes('sha256')).toBe(false)
    expect((await take(sent, { hashed: false })).tar).toEqual(await bytesOf(packShardTar([A, B])))
    for (const files of [[A], [A, entry('b.tsm', 'gamma')]]) {
      const other = await bytesOf(packShardTar([...files, last]))
      await expect(take(other, { hashed: false })).rejects.toMatchObject({ code: 'E_FORMAT' })
    }
    await expect(take(sent)).rejects.toMatchObject({ code: 'E_FORMAT' })
  })

  it('is missed', async () => {
    await expect(take(await bytesOf(packShardTar([A])))).rejects.toMatchObject({
      code: 'E_CUT',
      message: 'shard 7: the server does not say that it is complete',
    })
  })

  it.each([
    ['a file is missing', [A], [A, B]],
    ['a file is other', [A, entry('b.tsm', 'bete')], [A, B]],
    ['a file has another name', [A, entry('c.tsm', 'beta')], [A, B]],
  ])('is not about these files: %s', async (_, sent, stated) => {
    const tar = await bytesOf(packShardTar([...sent, await statement(optionsOf(), ...stated)]))
    await expect(take(tar)).rejects.toMatchObject({ code: 'E_FORMAT' })
  })

  it.each([
    ['files since another time', { asked: { since: 5n } }, '[["since","5"]]'],
    ['points of a range', { asked: { start: 1n, end: 2n } }, '[["end","2"],["start","1"]]'],
    ['another shard', { shard: { ...SHARD, shardId: 8n } }, 'expected db/rp/8/complete.snap'],
  ])('is no answer to a question for %s', async (_, changes, message) => {
    const tar = await bytesOf(packShardTar(addStatement(list(), optionsOf())))
    await expect(take(tar, changes)).rejects.toMatchObject({
      code: 'E_FORMAT',
      message: expect.stringContaining(message),
    })
  })

  it('comes last and is what it should be', async () => {
    const early = await bytesOf(packShardTar([await statement(optionsOf()), A]))
    await expect(take(early)).rejects.toThrow('comes after it')
    const rubbish = await bytesOf(packShardTar([entry(STATEMENT_FILE, '{}')]))
    await expect(take(rubbish)).rejects.toThrow('is not what it should be')
    const huge = await bytesOf(packShardTar([entry(STATEMENT_FILE, ' '.repeat(2 ** 20 + 1))]))
    await expect(take(huge)).rejects.toThrow('1048577 bytes')
  })
})
