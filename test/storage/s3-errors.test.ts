import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { S3Store } from '../../src/storage/index.ts'
import { s3Error } from '../../src/storage/s3-errors.ts'

it('says that what answers is no store, without the insides of the SDK', async () => {
  const server = createServer((_, response) => response.writeHead(404).end('404 page not found'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const credentials = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'not told' }
  Object.assign(process.env, credentials)
  try {
    const list = async (scheme: string) => {
      const endpoint = `${scheme}://127.0.0.1:${port}`
      for await (const _ of new S3Store('s3://bucket/a', { endpoint }).list());
    }
    await expect(list('http')).rejects.toMatchObject({
      code: 'E_SOURCE',
      message: 's3://bucket/a: what answers there is no S3 store (404)',
      hint: expect.stringContaining('--s3-endpoint'),
    })
    await expect(list('https')).rejects.toMatchObject({
      message: 's3://bucket/a: TLS failed: it may be no https:// there (EPROTO)',
    })
  } finally {
    for (const name of Object.keys(credentials)) delete process.env[name]
    server.close()
  }
})

it('keeps what it does not know short', () => {
  expect(s3Error(new Error('x'.repeat(500)), 'read', 's3://a')).toMatchObject({
    message: `s3://a: ${'x'.repeat(200)}`,
    hint: expect.stringContaining('--s3-endpoint'),
  })
  expect(s3Error('UnknownError', 'write', 's3://a').message).toBe('s3://a: the store refused')
})
