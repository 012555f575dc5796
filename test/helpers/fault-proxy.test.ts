import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type FaultProxy, type Script, startFaultProxy } from './fault-proxy.ts'

const TEXT = Buffer.from('0123456789'.repeat(10_000))
let echo: Server
let target: string

beforeAll(async () => {
  echo = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => undefined)
    socket.pipe(socket)
  })
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  const address = echo.address()
  target = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
})
afterAll(() => {
  echo.close()
})

it('passes everything on, half-close and all', async () => {
  const proxy = await startFaultProxy(target, [])
  expect(await talk(proxy, TEXT)).toEqual({ ended: true, data: TEXT })
  expect(proxy.connections).toEqual([{ toServer: TEXT.length, toClient: TEXT.length }])
  await proxy.close()
})

it('cuts with a FIN after exactly so many bytes, then lets the next connection pass', async () => {
  const script: Script = { toClient: { cut: { after: 777, how: 'fin' } } }
  const proxy = await startFaultProxy(target, [script])
  const first = await talk(proxy, TEXT)
  expect(first.data).toEqual(TEXT.subarray(0, 777))
  expect((await talk(proxy, TEXT)).data).toEqual(TEXT)
  await proxy.close()
})

it.each(['toServer', 'toClient'])('cuts %s with a RST', async (direction) => {
  const proxy = await startFaultProxy(target, [{ [direction]: { cut: { after: 5, how: 'rst' } } }])
  expect(await talk(proxy, TEXT)).toMatchObject({
    error: expect.stringMatching(/ECONNRESET|EPIPE/),
  })
  await proxy.close()
})

it('resets a refused connection', async () => {
  const proxy = await startFaultProxy(target, [{ refuse: true }])
  expect(await talk(proxy, TEXT)).toMatchObject({
    error: expect.stringMatching(/ECONNRESET|EPIPE/),
  })
  await proxy.close()
})

it('chooses by the type of a request', async () => {
  const proxy = await startFaultProxy(target, (type, before) =>
    type === 7 && before === 1 ? { toClient: { flip: { at: 0, bit: 0 } } } : {},
  )
  const [upload, other] = [Buffer.from([3, 7, 1]), Buffer.from([3, 0, 1])]
  expect((await talk(proxy, upload)).data).toEqual(upload)
  expect((await talk(proxy, other)).data).toEqual(other)
  expect((await talk(proxy, upload)).data).toEqual(Buffer.from([2, 7, 1]))
  await proxy.close()
})

it('tells what went over each connection', async () => {
  const seen: string[] = []
  const proxy = await startFaultProxy(
    target,
    [{ toClient: { flip: { at: 0, bit: 0 } } }],
    (...at) => seen.push(`${at[0]} ${at[1]} ${Buffer.from(at[2])}`),
  )
  await talk(proxy, Buffer.from('2'))
  expect(seen).toEqual(['0 toServer 2', '0 toClient 3'])
  await proxy.close()
})

it('sends everything twice and gives the first answer', async () => {
  let heard = ''
  const server = createServer((socket) => socket.on('data', (data) => (heard += data)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const proxy = await startFaultProxy(`127.0.0.1:${port}`, [{ twice: true }])
  await talk(proxy, Buffer.from('abc'), 100)
  expect(heard).toBe('abcabc')
  await proxy.close()
  server.close()
})

it('holds a connection back until others have ended', async () => {
  const proxy = await startFaultProxy(target, [{ afterOthers: 1 }])
  const first = talk(proxy, Buffer.from('first'))
  await expect.poll(() => proxy.connections.length).toBe(1)
  expect((await talk(proxy, Buffer.from('second'))).data).toEqual(Buffer.from('second'))
  expect((await first).data).toEqual(Buffer.from('first'))
  await proxy.close()
})

it('swaps the answers to two connections', async () => {
  const proxy = await startFaultProxy(target, [{ swap: true }, { swap: true }])
  const first = talk(proxy, Buffer.from('first'))
  await expect.poll(() => proxy.connections.length).toBe(1)
  expect((await talk(proxy, Buffer.from('second'))).data).toEqual(Buffer.from('first'))
  expect((await first).data).toEqual(Buffer.from('second'))
  await proxy.close()
})

it('stalls without closing', async () => {
  const proxy = await startFaultProxy(target, [{ toClient: { stall: { after: 10 } } }])
  const answer = await talk(proxy, TEXT, 200)
  expect(answer).toEqual({ data: TEXT.subarray(0, 10) })
  await proxy.close()
})

it('flips one bit', async () => {
  const flip = { at: 70_000, bit: 3 }
  const proxy = await startFaultProxy(target, [{ toServer: { flip } }])
  const expected = Buffer.from(TEXT)
  expected[70_000] = (expected[70_000] ?? 0) ^ 8
  expect((await talk(proxy, TEXT)).data).toEqual(expected)
  await proxy.close()
})

it('delivers a byte at a time, late', async () => {
  const proxy = await startFaultProxy(target, [{ toClient: { chunk: 1, delay: 1 } }])
  const start = performance.now()
  expect((await talk(proxy, TEXT.subarray(0, 50))).data).toEqual(TEXT.subarray(0, 50))
  expect(performance.now() - start).toBeGreaterThan(45)
  await proxy.close()
})

interface Answer {
  data: Buffer
  ended?: true
  error?: string
}

/** Sends `text` and a half-close, and returns what comes back until the connection is closed or `wait` ms are over. */
function talk(proxy: FaultProxy, text: Buffer, wait = 10_000): Promise<Answer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const answer: Omit<Answer, 'data'> = {}
    const [host, port] = proxy.host.split(':')
    const socket = connect(Number(port), host)
    const timer = setTimeout(() => socket.destroy(), wait)
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('end', () => Object.assign(answer, { ended: true }))
    // Where a RST meets a write, the read beside it looks like a clean end: the error decides.
    socket.on('error', (error) => Object.assign(answer, { error: 'code' in error && error.code }))
    socket.on('close', () => {
      clearTimeout(timer)
      resolve({ ...answer, data: Buffer.concat(chunks) })
    })
    socket.end(text)
  })
}
